import { structure } from '../../base/schema.ts'
import { rotationRequest } from '../../keyring/keyring.ts'
import { relatedKeys, rotateInStep } from '../../keyring/related-keys.ts'
import { KmsError } from '../../model/errors.ts'
import type { KeyMaterial, KmsKey } from '../../model/key.ts'
import { requireNoReplica } from '../../model/multi-region.ts'
import { ChangedMeanwhile } from '../../store/faults.ts'
import type { Transaction } from '../../store/store.ts'
import { defineOperation } from '../operation.ts'
import { keyId } from '../shapes.ts'
import { AUTOMATIC_ROTATION_MARGIN_MS, ON_DEMAND_ROTATIONS_MAX, requireRotatable } from './rotation-rules.ts'

/** RotateKeyOnDemand gives a key new material now, or the imported one that waits; its automatic schedule does not move. */
export const RotateKeyOnDemand = defineOperation({
  name: 'RotateKeyOnDemand',
  input: structure({ KeyId: keyId }),
  readOnly: false,
  access: (access, request, { KeyId }) =>
    access.key(request, 'RotateKeyOnDemand', KeyId, {
      action: 'kms:RotateKeyOnDemand',
      states: ['Enabled'],
    }),

  async run(key, { store, keyring, clock }, input) {
    requireRotatable(key)
    requireNoReplica(key)
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
    const next =
      key.origin === 'EXTERNAL' ? pendingOf(key) : await keyring.createMaterial(key.region, rotationRequest(key), now)
    const changed = { ...key, generation: key.generation + 1 }
    const material: KeyMaterial = { ...next, state: 'CURRENT', rotationType: 'ON_DEMAND', rotatedAtMs: now }
    try {
      await store.transaction(async tx => {
        await requireEverywhere(tx, changed, material)
        await rotateInStep(tx, changed, material)
      })
    } catch (error) {
      if (!(error instanceof ChangedMeanwhile)) throw error
      throw new KmsError('ConflictException', `${key.arn} was changed meanwhile. Try again.`)
    }
    return { KeyId: input.KeyId }
  },
})

/** Imported material is in every region that holds the key. Throws KmsError KMSInvalidStateException. */
async function requireEverywhere(tx: Transaction, key: KmsKey, { id }: KeyMaterial): Promise<void> {
  if (key.origin !== 'EXTERNAL') return
  const lacking = (await relatedKeys(tx, key)).find(({ materials }) => materials.get(id)?.ekt === undefined)
  if (lacking === undefined) return
  throw new KmsError('KMSInvalidStateException', `${lacking.arn} waits for the import of key material ${id}.`)
}

/** The imported material that waits. Throws KmsError KMSInvalidStateException when there is none. */
function pendingOf({ arn, materials }: KmsKey): KeyMaterial {
  const pending = [...materials.values()].find(({ state }) => state === 'PENDING_ROTATION')
  if (pending !== undefined) return pending
  throw new KmsError('KMSInvalidStateException', `No available key material pending rotation for the key: ${arn}.`)
}
