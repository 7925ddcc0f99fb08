/**
 * Objects in tokens that are HBKs (security.md 4.2 and 4.4). A row is written before the object is made, and goes when the
 * token has confirmed that the object is destroyed. Keys and the daemon's own HBKs keep their objects' rows in step.
 */
import type { Selectable } from 'kysely'
import { residenceOf } from '../../formats/resident-key.ts'
import type { Ekt } from '../../model/key.ts'
import type { DoomedObject, ResidentObject } from '../records.ts'
import { bufferOf, ektOf, requireDeleted, requireInserted, requireUpdated } from './outcomes.ts'
import type { Handle, Tables } from './tables.ts'

export async function listResidentObjects(db: Handle, region: string): Promise<ResidentObject[]> {
  const rows = await db
    .selectFrom('resident_objects')
    .selectAll()
    .where('region', '=', region)
    .orderBy('serial')
    .orderBy('cka_id')
    .execute()
  return rows.map(objectOf)
}

/** How many objects of a region each token has or is about to have, by serial. */
export async function countResidentObjects(db: Handle, region: string): Promise<Map<string, number>> {
  const rows = await db
    .selectFrom('resident_objects')
    .select(({ fn }) => ['serial', fn.countAll().as('count')])
    .where('region', '=', region)
    .groupBy('serial')
    .execute()
  return new Map(rows.map(({ serial, count }) => [serial, Number(count)]))
}

export async function listDoomedObjects(db: Handle): Promise<DoomedObject[]> {
  const rows = await db.selectFrom('resident_objects').selectAll().where('state', '=', 'destroying').execute()
  return rows.flatMap(row => (row.ekt === null ? [] : [{ ...objectOf(row), ekt: ektOf(row.ekt) }]))
}

export async function insertResidentObject(db: Handle, object: ResidentObject): Promise<void> {
  const { region, serial, ckaId, state, createdAtMs } = object
  const inserted = await db
    .insertInto('resident_objects')
    .values({ region, serial, cka_id: ckaId, state, created_at_ms: createdAtMs, ekt: null })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `object ${ckaId.toString('hex')}`)
}

export async function deleteResidentObject(db: Handle, object: ResidentObject): Promise<void> {
  const { region, serial, ckaId, state } = object
  const deleted = await db
    .deleteFrom('resident_objects')
    .where('region', '=', region)
    .where('serial', '=', serial)
    .where('cka_id', '=', ckaId)
    .where('state', '=', state)
    .executeTakeFirstOrThrow()
  requireDeleted(deleted, `object ${ckaId.toString('hex')}`)
}

/** The record that names these objects is stored: from `creating`, which must be there, to `ready`. */
export async function recordResident(db: Handle, region: string, { record }: Ekt): Promise<void> {
  const { ckaId, serials } = residenceOf(record) ?? NOWHERE
  for (const serial of serials) {
    const updated = await db
      .updateTable('resident_objects')
      .set({ state: 'ready' })
      .where('region', '=', region)
      .where('serial', '=', serial)
      .where('cka_id', '=', ckaId)
      .where('state', '=', 'creating')
      .executeTakeFirstOrThrow()
    requireUpdated(updated, `object ${ckaId.toString('hex')}`)
  }
}

/** The record is gone: its objects are to be destroyed, and the record is kept until they are, because it proves them. */
export async function doomResident(db: Handle, region: string, { record }: Ekt, nowMs: number): Promise<void> {
  const { ckaId, serials } = residenceOf(record) ?? NOWHERE
  for (const serial of serials) {
    await db
      .insertInto('resident_objects')
      .values({ region, serial, cka_id: ckaId, state: 'destroying', created_at_ms: nowMs, ekt: record })
      .onConflict(conflict =>
        conflict.columns(['region', 'serial', 'cka_id']).doUpdateSet({ state: 'destroying', ekt: record }),
      )
      .execute()
  }
}

/** Where a wrapped HBK resides. */
const NOWHERE = { ckaId: Buffer.alloc(0), serials: [] }

function objectOf(row: Selectable<Tables['resident_objects']>): ResidentObject {
  const { region, serial, cka_id: ckaId, state, created_at_ms: createdAtMs } = row
  return { region, serial, ckaId: bufferOf(ckaId), state, createdAtMs }
}
