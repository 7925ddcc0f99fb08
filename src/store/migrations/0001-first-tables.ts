/** The first tables. A migration that has been released is never changed: what comes later is a migration of its own. */
import { type ColumnDefinitionBuilder, type Kysely, sql } from 'kysely'
import type { BytesColumn } from '../dialects/database.ts'

type Schema = Kysely<unknown>['schema']

export async function createFirstTables({ schema }: Kysely<unknown>, bytes: BytesColumn): Promise<void> {
  await createIdentityTables(schema, bytes)
  await createDomainTables(schema, bytes)
  await createKeyTables(schema, bytes)
}

async function createIdentityTables(schema: Schema, bytes: BytesColumn): Promise<void> {
  await schema
    .createTable('accounts')
    .addColumn('id', 'text', primary)
    .addColumn('created_at_ms', 'bigint', required)
    .execute()
  await schema
    .createTable('identities')
    .addColumn('principal_id', 'text', primary)
    .addColumn('account', 'text', column => column.notNull().references('accounts.id'))
    .addColumn('kind', 'text', required)
    .addColumn('path', 'text', required)
    .addColumn('name', 'text', required)
    .addColumn('created_at_ms', 'bigint', required)
    .addUniqueConstraint('identities_name', ['account', 'name'])
    .execute()
  await schema
    .createTable('identity_policies')
    .addColumn('principal_id', 'text', ofIdentity)
    .addColumn('name', 'text', required)
    .addColumn('document', 'text', required)
    .addPrimaryKeyConstraint('identity_policies_primary', ['principal_id', 'name'])
    .execute()
  await schema
    .createTable('access_keys')
    .addColumn('id', 'text', primary)
    .addColumn('principal_id', 'text', ofIdentity)
    .addColumn('active', 'integer', required)
    .addColumn('sealed_secret', bytes, required)
    .addColumn('created_at_ms', 'bigint', required)
    .execute()
  await schema.createIndex('access_keys_of_identity').on('access_keys').column('principal_id').execute()
}

async function createDomainTables(schema: Schema, bytes: BytesColumn): Promise<void> {
  await schema
    .createTable('domains')
    .addColumn('region', 'text', primary)
    .addColumn('id', 'text', column => column.notNull().unique())
    .addColumn('state', 'text', required)
    .addColumn('sealed', 'integer', required)
    .addColumn('created_at_ms', 'bigint', required)
    .execute()
  await schema
    .createTable('domain_key_versions')
    .addColumn('region', 'text', column => column.notNull().references('domains.region'))
    .addColumn('kind', 'text', required)
    .addColumn('version', 'integer', required)
    .addColumn('fork_id', 'text', required)
    .addColumn('check_value', 'text', required)
    .addPrimaryKeyConstraint('domain_key_versions_primary', ['region', 'kind', 'version'])
    .execute()
  await schema
    .createTable('domain_tokens')
    .addColumn('region', 'text', column => column.notNull().references('domains.region'))
    .addColumn('serial', 'text', required)
    .addColumn('label', 'text', required)
    .addColumn('state', 'text', required)
    .addColumn('audit_public_key', bytes, required)
    .addColumn('enrolled_at_ms', 'bigint', required)
    .addPrimaryKeyConstraint('domain_tokens_primary', ['region', 'serial'])
    .execute()
  await schema
    .createTable('daemon_keys')
    .addColumn('purpose', 'text', primary)
    .addColumn('region', 'text', required)
    .addColumn('kid', bytes, required)
    .addColumn('ekt', bytes, required)
    .execute()
}

async function createKeyTables(schema: Schema, bytes: BytesColumn): Promise<void> {
  await scoped(schema, 'keys')
    .addColumn('id', 'text', required)
    .addColumn('spec', 'text', required)
    .addColumn('usage', 'text', required)
    .addColumn('origin', 'text', required)
    .addColumn('state', 'text', required)
    .addColumn('description', 'text', required)
    .addColumn('policy', 'text', required)
    .addColumn('created_at_ms', 'bigint', required)
    .addColumn('deletion_at_ms', 'bigint')
    .addColumn('generation', 'bigint', required)
    .addPrimaryKeyConstraint('keys_primary', ['region', 'account', 'id'])
    .execute()
  await schema
    .createIndex('keys_to_delete')
    .on('keys')
    .column('deletion_at_ms')
    .where('deletion_at_ms', 'is not', null)
    .execute()
  await ofKey(schema, 'materials')
    .addColumn('id', 'text', required)
    .addColumn('state', 'text', required)
    .addColumn('created_at_ms', 'bigint', required)
    .addColumn('ekt', bytes, required)
    .addPrimaryKeyConstraint('materials_primary', ['region', 'account', 'key_id', 'id'])
    .execute()
  await schema
    .createIndex('materials_current')
    .on('materials')
    .columns(['region', 'account', 'key_id'])
    .unique()
    .where(sql<boolean>`state = 'CURRENT'`)
    .execute()
  await ofKey(schema, 'aliases')
    .addColumn('name', 'text', required)
    .addColumn('created_at_ms', 'bigint', required)
    .addColumn('updated_at_ms', 'bigint', required)
    .addPrimaryKeyConstraint('aliases_primary', ['region', 'account', 'name'])
    .execute()
  await schema.createIndex('aliases_of_key').on('aliases').columns(['region', 'account', 'key_id', 'name']).execute()
  await ofKey(schema, 'tags')
    .addColumn('tag_key', 'text', required)
    .addColumn('tag_value', 'text', required)
    .addPrimaryKeyConstraint('tags_primary', ['region', 'account', 'key_id', 'tag_key'])
    .execute()
  await schema
    .createTable('tombstones')
    .addColumn('table_name', 'text', required)
    .addColumn('primary_key', 'text', required)
    .addColumn('deleted_at_ms', 'bigint', required)
    .addPrimaryKeyConstraint('tombstones_primary', ['table_name', 'primary_key'])
    .execute()
}

function primary(column: ColumnDefinitionBuilder): ColumnDefinitionBuilder {
  return column.primaryKey().notNull()
}

function required(column: ColumnDefinitionBuilder): ColumnDefinitionBuilder {
  return column.notNull()
}

/** Goes with the identity it belongs to. */
function ofIdentity(column: ColumnDefinitionBuilder): ColumnDefinitionBuilder {
  return column.notNull().references('identities.principal_id').onDelete('cascade')
}

function scoped(schema: Schema, table: string) {
  return schema.createTable(table).addColumn('region', 'text', required).addColumn('account', 'text', required)
}

/** Goes with the key it belongs to. */
function ofKey(schema: Schema, table: string) {
  return scoped(schema, table)
    .addColumn('key_id', 'text', required)
    .addForeignKeyConstraint(
      `${table}_key`,
      ['region', 'account', 'key_id'],
      'keys',
      ['region', 'account', 'id'],
      constraint => constraint.onDelete('cascade'),
    )
}
