import { structure } from '../../base/schema.ts'
import { changeKey } from '../keys/change-key.ts'
import { defineOperation } from '../operation.ts'
import { keyId } from '../shapes.ts'
import { requireScheduled } from './rotation-rules.ts'

/** DisableKeyRotation ends the automatic rotation of a key; its materials stay. */
export const DisableKeyRotation = defineOperation({
  name: 'DisableKeyRotation',
  input: structure({ KeyId: keyId }),
  readOnly: false,
  access: async (access, request, { KeyId }) => ({
    key: await access.key(request, 'DisableKeyRotation', KeyId, { action: 'kms:DisableKeyRotation' }),
  }),

  async run({ key, store }) {
    requireScheduled(key)
    await changeKey(store, key, ['Enabled'], { rotation: undefined })
    return undefined
  },
})
