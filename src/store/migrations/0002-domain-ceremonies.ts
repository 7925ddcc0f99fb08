/** What a domain needs over the years: versions that come and go, tokens that leave, and a record of every ceremony. */
import type { ColumnDefinitionBuilder, Kysely } from 'kysely'
import { sql } from 'kysely'

/** Before this migration nothing could be rotated: every EKT record is under version 1, and every token holds just that. */
const FIRST_VERSION = 1

export async function addDomainCeremonies(db: Kysely<unknown>): Promise<void> {
  const { schema } = db
  await schema
    .alterTable('domains')
    .addColumn('generation', 'bigint', column => column.notNull().defaultTo(1))
    .execute()
  await schema.alterTable('domains').addColumn('rotation_to', 'integer').execute()
  await schema.alterTable('domains').addColumn('rotation_step', 'text').execute()
  await schema.alterTable('domains').addColumn('rotation_started_at_ms', 'bigint').execute()
  await schema
    .alterTable('domain_key_versions')
    .addColumn('state', 'text', column => column.notNull().defaultTo('active'))
    .execute()
  await schema.alterTable('domain_key_versions').addColumn('swept_at_ms', 'bigint').execute()
  await schema
    .createTable('domain_token_versions')
    .addColumn('region', 'text', required)
    .addColumn('serial', 'text', required)
    .addColumn('version', 'integer', required)
    .addPrimaryKeyConstraint('domain_token_versions_primary', ['region', 'serial', 'version'])
    .addForeignKeyConstraint('domain_token_versions_token', ['region', 'serial'], 'domain_tokens', ['region', 'serial'])
    .execute()
  await sql`
    insert into domain_token_versions (region, serial, version)
    select region, serial, ${sql.lit(FIRST_VERSION)} from domain_tokens where state = 'enrolled'
  `.execute(db)
  for (const table of ['materials', 'daemon_keys']) {
    await schema
      .alterTable(table)
      .addColumn('dk_version', 'bigint', column => column.notNull().defaultTo(FIRST_VERSION))
      .execute()
  }
  await schema
    .createIndex('materials_by_version')
    .on('materials')
    .columns(['region', 'dk_version', 'account', 'key_id', 'id'])
    .execute()
  await schema
    .createTable('ceremonies')
    .addColumn('id', 'text', column => column.primaryKey().notNull())
    .addColumn('region', 'text', required)
    .addColumn('command', 'text', required)
    .addColumn('operator', 'text', required)
    .addColumn('uid', 'bigint', required)
    .addColumn('officers', 'text', required)
    .addColumn('at_ms', 'bigint', required)
    .addColumn('what', 'text', required)
    .addColumn('outcome', 'text', required)
    .execute()
  await schema.createIndex('ceremonies_by_time').on('ceremonies').columns(['region', 'at_ms', 'id']).execute()
}

function required(column: ColumnDefinitionBuilder): ColumnDefinitionBuilder {
  return column.notNull()
}
