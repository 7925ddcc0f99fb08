import { structure } from '../../base/schema.ts'
import { DYING_STATES } from '../../model/key.ts'
import { epochSeconds } from '../keys/key-metadata.ts'
import { defineOperation } from '../operation.ts'
import { keyId } from '../shapes.ts'
import { requireRotatable } from './rotation-rules.ts'

/** GetKeyRotationStatus says whether and when a key is rotated by itself. A key that is pending deletion is not. */
export const GetKeyRotationStatus = defineOperation({
  name: 'GetKeyRotationStatus',
  input: structure({ KeyId: keyId }),
  readOnly: true,
  access: (access, request, { KeyId }) =>
    access.key(request, 'GetKeyRotationStatus', KeyId, { action: 'kms:GetKeyRotationStatus' }),

  async run(key) {
    requireRotatable(key)
    const rotation = DYING_STATES.some(state => state === key.state) ? undefined : key.rotation
    return {
      KeyId: key.arn,
      KeyRotationEnabled: rotation !== undefined,
      RotationPeriodInDays: rotation?.periodDays,
      NextRotationDate: rotation === undefined ? undefined : epochSeconds(rotation.nextAtMs),
    }
  },
})
