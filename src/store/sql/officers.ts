/** Dual control: the threshold and the officers, which change together. */
import type { DualControl } from '../../model/dual-control.ts'
import { requireInserted, requireUpdated } from './outcomes.ts'
import type { Handle } from './tables.ts'

/** The one record that there is. */
export const DUAL_CONTROL_ID = 'ceremonies'

/** Both of one moment when the handle is that of a transaction. */
export async function findDualControl(db: Handle): Promise<DualControl> {
  const row = await db.selectFrom('dual_control').selectAll().where('id', '=', DUAL_CONTROL_ID).executeTakeFirst()
  const officers = await db.selectFrom('officers').selectAll().orderBy('name').execute()
  return {
    generation: row?.generation ?? 0,
    threshold: row?.threshold ?? 0,
    officers: officers.map(officer => ({
      ...{ name: officer.name, publicKey: officer.public_key, fingerprint: officer.fingerprint },
      addedAtMs: officer.added_at_ms,
    })),
  }
}

/** `generation` must be one above the stored one. Throws ChangedMeanwhile or AlreadyStored when it is not. */
export async function putDualControl(db: Handle, { generation, threshold, officers }: DualControl): Promise<void> {
  if (generation === 1) {
    const inserted = await db
      .insertInto('dual_control')
      .values({ id: DUAL_CONTROL_ID, threshold, generation })
      .onConflict(conflict => conflict.doNothing())
      .executeTakeFirstOrThrow()
    requireInserted(inserted, 'dual control')
  } else {
    const updated = await db
      .updateTable('dual_control')
      .set({ threshold, generation })
      .where('id', '=', DUAL_CONTROL_ID)
      .where('generation', '=', generation - 1)
      .executeTakeFirstOrThrow()
    requireUpdated(updated, 'dual control')
  }
  await db.deleteFrom('officers').execute()
  for (const { name, publicKey, fingerprint, addedAtMs } of officers) {
    await db
      .insertInto('officers')
      .values({ name, public_key: publicKey, fingerprint, added_at_ms: addedAtMs })
      .execute()
  }
}
