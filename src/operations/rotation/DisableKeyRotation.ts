import { structure } from '../../base/schema.ts'
import { requireNoReplica } from '../../model/multi-region.ts'
import { defineOperation } from '../operation.ts'
import { keyId } from '../shapes.ts'
import { requireScheduled } from './rotation-rules.ts'
import { scheduleKey } from './schedule-key.ts'

/** DisableKeyRotation ends the automatic rotation of a key; its materials stay. */
export const DisableKeyRotation = defineOperation({
  name: 'DisableKeyRotation',
  input: structure({ KeyId: keyId }),
  readOnly: false,
  access: (access, request, { KeyId }) =>
    access.key(request, 'DisableKeyRotation', KeyId, { action: 'kms:DisableKeyRotation' }),

  async run(key, { store }) {
    requireScheduled(key)
    requireNoReplica(key)
    await scheduleKey(store, key, undefined)
    return undefined
  },
})
