/** The record of ceremonies: rows are added and never changed. */
import type { CeremonyRecord } from '../domain.ts'
import type { Handle } from './tables.ts'

export async function recordCeremony(db: Handle, record: CeremonyRecord): Promise<void> {
  const { id, region, command, operator, officers, atMs, what, outcome } = record
  await db
    .insertInto('ceremonies')
    .values({
      ...{ id, region, command, what, outcome },
      ...{ operator: operator.name, uid: operator.uid, officers: JSON.stringify(officers), at_ms: atMs },
    })
    .execute()
}

export async function listCeremonies(db: Handle, region: string): Promise<CeremonyRecord[]> {
  const rows = await db
    .selectFrom('ceremonies')
    .selectAll()
    .where('region', '=', region)
    .orderBy('at_ms')
    .orderBy('id')
    .execute()
  return rows.map(({ id, command, operator, uid, officers, at_ms: atMs, what, outcome }) => ({
    ...{ id, region, command, operator: { name: operator, uid }, atMs, what, outcome },
    officers: JSON.parse(officers) as string[],
  }))
}
