/** A change of one key's record: read again inside the transaction, so that two changes at once do not undo each other. */
import { type KeyState, type KmsKey, requireState } from '../../model/key.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { keyNotFound } from '../shapes.ts'

type Change = Partial<
  Pick<
    KmsKey,
    'state' | 'description' | 'deletionAtMs' | 'deletionWindowDays' | 'policy' | 'policyPrincipals' | 'rotation'
  >
>

/** `change` may depend on the key as it is then. Throws KmsError when the key has gone or has left the allowed states meanwhile; any state will do when undefined. */
export async function changeKey(
  store: Store,
  key: KmsKey,
  states: readonly KeyState[] | undefined,
  change: Change | ((current: KmsKey, tx: Transaction) => Promise<Change>),
): Promise<KmsKey> {
  return store.transaction(async tx => {
    const current = await tx.findKey(key, key.id)
    if (current === undefined) throw keyNotFound(key.arn)
    if (states !== undefined) requireState(current, states)
    const changes = typeof change === 'function' ? await change(current, tx) : change
    const changed = { ...current, ...changes, generation: current.generation + 1 }
    await tx.updateKey(changed)
    return changed
  })
}
