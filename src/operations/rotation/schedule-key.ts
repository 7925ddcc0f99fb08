/** The automatic rotation of a key, which replicas take over from their primary. */
import { changeInStep } from '../../keyring/related-keys.ts'
import type { KmsKey, RotationSchedule } from '../../model/key.ts'
import type { Store } from '../../store/store.ts'
import { changeKey } from '../keys/change-key.ts'

/** Sets when a key is rotated by itself; undefined for never. Throws KmsError. */
export async function scheduleKey(store: Store, key: KmsKey, rotation: RotationSchedule | undefined): Promise<void> {
  await changeKey(store, key, ['Enabled'], async (current, tx) => {
    await changeInStep(tx, current, { rotation })
    return { rotation }
  })
}
