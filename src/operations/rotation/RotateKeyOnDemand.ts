import { structure } from '../../base/schema.ts'
import { rotationRequest } from '../../keyring/keyring.ts'
import { KmsError } from '../../model/errors.ts'
import { ChangedMeanwhile } from '../../store/faults.ts'
import { defineOperation } from '../operation.ts'
import { keyId } from '../shapes.ts'
import { AUTOMATIC_ROTATION_MARGIN_MS, ON_DEMAND_ROTATIONS_MAX, requireRotatable } from './rotation-rules.ts'

/** RotateKeyOnDemand gives a key new material now; its automatic schedule does not move. */
export const RotateKeyOnDemand = defineOperation({
  name: 'RotateKeyOnDemand',
  input: structure({ KeyId: keyId }),
  readOnly: false,
  access: async (access, request, { KeyId }) => ({
    key: await access.key(request, 'RotateKeyOnDemand', KeyId, {
      action: 'kms:RotateKeyOnDemand',
      states: ['Enabled'],
    }),
  }),

  async run({ key, store, keyring, clock }) {
    requireRotatable(key)
    const now = clock()
    if (key.rotation !== undefined && key.rotation.nextAtMs - now < AUTOMATIC_ROTATION_MARGIN_MS) {
      throw new KmsError('ConflictException', `An automatic rotation of ${key.arn} is due within 20 minutes.`)
    }
    const onDemand = [...key.materials.values()].filter(({ rotationType }) => rotationType === 'ON_DEMAND').length
    if (onDemand >= ON_DEMAND_ROTATIONS_MAX) {
      throw new KmsError(
        'LimitExceededException',
        `${key.arn} was rotated on demand ${ON_DEMAND_ROTATIONS_MAX} times, which is the most.`,
      )
    }
    const made = await keyring.createMaterial(key.region, rotationRequest(key), now)
    const changed = { ...key, generation: key.generation + 1 }
    try {
      await store.transaction(tx => tx.rotateKey(changed, { ...made, rotationType: 'ON_DEMAND' }))
    } catch (error) {
      if (!(error instanceof ChangedMeanwhile)) throw error
      throw new KmsError('ConflictException', `${key.arn} was changed meanwhile. Try again.`)
    }
    return { KeyId: key.arn }
  },
})
