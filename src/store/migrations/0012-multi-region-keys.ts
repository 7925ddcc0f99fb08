/**
 * Multi-Region keys: which region holds the primary, how long that one waits for its deletion once the replicas are gone,
 * and which materials are under the domain that regions share in place of their own. Null in every row that is there.
 */
import { type Kysely, sql } from 'kysely'

export async function addMultiRegionKeys({ schema }: Kysely<unknown>): Promise<void> {
  await schema.alterTable('keys').addColumn('primary_region', 'text').execute()
  await schema.alterTable('keys').addColumn('deletion_window_days', 'integer').execute()
  await schema.alterTable('materials').addColumn('domain', 'text').execute()
  await schema
    .createIndex('keys_related')
    .on('keys')
    .columns(['account', 'id', 'region'])
    .where(sql<boolean>`primary_region is not null`)
    .execute()
  await schema
    .createIndex('materials_by_shared_version')
    .on('materials')
    .columns(['domain', 'dk_version', 'region', 'account', 'key_id', 'id'])
    .where(sql<boolean>`domain is not null`)
    .execute()
}
