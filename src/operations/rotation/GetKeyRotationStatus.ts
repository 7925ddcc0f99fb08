import { structure } from '../../base/schema.ts'
import { DYING_STATES } from '../../model/key.ts'
import { epochSeconds } from '../keys/key-metadata.ts'
import { defineOperation } from '../operation.ts'
import { keyId } from '../shapes.ts'

/**
 * GetKeyRotationStatus says whether and when a key is rotated by itself. A key that is pending deletion is not, nor one that
 * cannot be. The key's id is answered in the form that it was asked in, here and by the other operations on rotations.
 */
export const GetKeyRotationStatus = defineOperation({
  name: 'GetKeyRotationStatus',
  input: structure({ KeyId: keyId }),
  readOnly: true,
  access: (access, request, { KeyId }) =>
    access.key(request, 'GetKeyRotationStatus', KeyId, { action: 'kms:GetKeyRotationStatus' }),

  async run(key, _services, input) {
    const rotation = DYING_STATES.some(state => state === key.state) ? undefined : key.rotation
    return {
      KeyId: input.KeyId,
      KeyRotationEnabled: rotation !== undefined,
      RotationPeriodInDays: rotation?.periodDays,
      NextRotationDate: rotation === undefined ? undefined : epochSeconds(rotation.nextAtMs),
    }
  },
})
