/**
 * Which domain key versions may open copies of a deleted key: those of its domain, up to the newest there was when it was deleted;
 * and when none of them was left.
 */
import { type Kysely, sql } from 'kysely'
import { MULTI_REGION_DOMAIN } from '../../base/region.ts'
import { isMultiRegionKeyId } from '../../model/key-id.ts'

export async function addErasedKeys(db: Kysely<unknown>): Promise<void> {
  for (const [column, type] of [
    ['domain', 'text'],
    ['dk_version', 'bigint'],
    ['erased_at_ms', 'bigint'],
  ] as const) {
    await db.schema.alterTable('tombstones').addColumn(column, type).execute()
  }
  const { rows } = await sql<{ primary_key: string }>`select primary_key from tombstones`.execute(db)
  for (const { primary_key: key } of rows) {
    const [region = '', , keyId = ''] = key.split('/')
    const domain = isMultiRegionKeyId(keyId) ? MULTI_REGION_DOMAIN : region
    await sql`
      update tombstones set domain = ${domain}, dk_version = (
        select coalesce(max(version), 0) from domain_key_versions where region = ${domain} and kind = 'dk'
      ) where primary_key = ${key}
    `.execute(db)
  }
}
