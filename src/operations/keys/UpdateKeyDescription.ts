import { structure } from '../../base/schema.ts'
import { LIVE_STATES } from '../../model/key.ts'
import { defineOperation } from '../operation.ts'
import { description, keyId } from '../shapes.ts'
import { changeKey } from './change-key.ts'

/** UpdateKeyDescription replaces a key's description. */
export const UpdateKeyDescription = defineOperation({
  name: 'UpdateKeyDescription',
  input: structure({ KeyId: keyId, Description: description }),
  readOnly: false,
  access: (access, request, { KeyId }) =>
    access.key(request, 'UpdateKeyDescription', KeyId, {
      action: 'kms:UpdateKeyDescription',
      states: LIVE_STATES,
    }),

  async run(key, { store }, input) {
    await changeKey(store, key, LIVE_STATES, { description: input.Description })
    return undefined
  },
})
