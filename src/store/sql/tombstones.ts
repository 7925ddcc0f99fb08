/** What is left of deleted keys: that there was one of that id, and when it went. */
import { sql } from 'kysely'
import { isMultiRegionKeyId } from '../../model/key-id.ts'
import type { ErasedKey } from '../store.ts'
import { buildOnce } from './build-once.ts'
import type { Handle } from './tables.ts'

/** Primary keys of deleted keys in ascending order, `after` excluded. */
export async function listTombstones(db: Handle, after: string, limit: number): Promise<string[]> {
  const rows = await db
    .selectFrom('tombstones')
    .select('primary_key')
    .where('table_name', '=', 'keys')
    .where('primary_key', '>', after)
    .orderBy('primary_key')
    .limit(limit)
    .execute()
  return rows.map(row => row.primary_key)
}

/** Of primary keys of deleted keys, those that are there again. A multi-Region key may be replicated again. */
export async function undeadAmong(db: Handle, primaryKeys: readonly string[]): Promise<string[]> {
  const undead: string[] = []
  for (const primaryKey of primaryKeys) {
    const [region = '', account = '', id = ''] = primaryKey.split('/')
    if (!isMultiRegionKeyId(id) && (await selectKey(db, region, account, id)).length > 0) undead.push(primaryKey)
  }
  return undead
}

const selectKey = buildOnce((db, region: string, account: string, id: string) =>
  db.selectFrom('keys').select('id').where('region', '=', region).where('account', '=', account).where('id', '=', id),
)

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

/**
 * Marks keys as erased that were deleted when no version from `oldest` on was there, and returns them, `limit` at most. A
 * multi-Region key is not erased while a related one is left in another region.
 */
export async function eraseKeys(
  db: Handle,
  domain: string,
  oldest: number,
  nowMs: number,
  limit: number,
): Promise<ErasedKey[]> {
  const rows = await db
    .selectFrom('tombstones')
    .select(['primary_key', 'deleted_at_ms'])
    .where('table_name', '=', 'keys')
    .where('domain', '=', domain)
    .where('dk_version', '<', oldest)
    .where('erased_at_ms', 'is', null)
    .where(
      sql<boolean>`not exists (
        select 1 from domains join keys on keys.region = domains.region
        where keys.account = substr(primary_key, length(primary_key) - 48, 12)
          and keys.id = substr(primary_key, length(primary_key) - 35)
      )`,
    )
    .orderBy('primary_key')
    .limit(limit)
    .execute()
  const erased = rows.map(({ primary_key: name, deleted_at_ms: deletedAtMs }) => {
    const [region = '', account = '', keyId = ''] = name.split('/')
    return { region, account, keyId, deletedAtMs, name }
  })
  for (const { name } of erased) {
    await db
      .updateTable('tombstones')
      .set({ erased_at_ms: nowMs })
      .where('table_name', '=', 'keys')
      .where('primary_key', '=', name)
      .execute()
  }
  return erased.map(({ name: _, ...key }) => key)
}
