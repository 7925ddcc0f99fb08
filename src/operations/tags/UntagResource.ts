import { list, structure } from '../../base/schema.ts'
import { LIVE_STATES } from '../../model/key.ts'
import { defineOperation } from '../operation.ts'
import { keyId, tagKey } from '../shapes.ts'

/** UntagResource removes tags by their keys; a key that is not there is no error. */
export const UntagResource = defineOperation({
  name: 'UntagResource',
  input: structure({ KeyId: keyId, TagKeys: list(tagKey, { min: 0, max: 200 }) }),
  readOnly: false,
  access: (access, request, { KeyId, TagKeys }) =>
    access.key(request, 'UntagResource', KeyId, {
      action: 'kms:UntagResource',
      states: LIVE_STATES,
      facts: { keys: { 'aws:TagKeys': TagKeys } },
    }),

  async run(key, { store }, input) {
    await store.transaction(tx => tx.deleteTags(key, input.TagKeys))
    return undefined
  },
})
