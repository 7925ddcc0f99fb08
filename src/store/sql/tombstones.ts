/** What is left of deleted keys: that there was one of that id, and when it went. */
import { sql } from 'kysely'
import type { Handle } from './tables.ts'

/** Primary keys of keys that are there although they were deleted. A multi-Region key may be replicated again. */
export async function listUndead(db: Handle, limit: number): Promise<string[]> {
  const { rows } = await sql<{ primary_key: string }>`
    select primary_key from tombstones where table_name = 'keys' and primary_key not like '%/mrk-%' and exists (
      select 1 from keys where region || '/' || account || '/' || id = primary_key
    ) limit ${limit}
  `.execute(db)
  return rows.map(row => row.primary_key)
}

/** Primary keys of deleted keys whose deletion no MAC stands for. */
export async function listUnsignedTombstones(db: Handle, limit: number): Promise<string[]> {
  const { rows } = await sql<{ primary_key: string }>`
    select primary_key from tombstones where not exists (
      select 1 from row_macs
      where row_macs.table_name = tombstones.table_name and row_macs.primary_key = tombstones.primary_key
    ) limit ${limit}
  `.execute(db)
  return rows.map(row => row.primary_key)
}
