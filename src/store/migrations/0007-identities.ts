/**
 * Roles, groups, services and roots beside users; managed policies, tags, boundaries, group members; when access keys were
 * used. Names are unique for each kind, so the tables that hang on identities are made anew around what they hold.
 */
import { type ColumnDefinitionBuilder, type Kysely, sql } from 'kysely'
import type { BytesColumn } from '../dialects/database.ts'

type Schema = Kysely<unknown>['schema']

export async function completeIdentities(db: Kysely<unknown>, bytes: BytesColumn): Promise<void> {
  const { schema } = db
  await schema.alterTable('accounts').addColumn('name', 'text', withDefault('')).execute()
  await schema.alterTable('daemon_keys').addColumn('data_key', bytes).execute()
  await createManagedPolicies(schema)
  await rebuildIdentities(db, bytes)
  await createFacts(schema)
  await sql`
    insert into identities (principal_id, account, kind, path, name, created_at_ms, generation)
    select id, id, 'root', '/', 'root', created_at_ms, 1 from accounts`.execute(db)
}

async function createManagedPolicies(schema: Schema): Promise<void> {
  await schema
    .createTable('managed_policies')
    .addColumn('id', 'text', column => column.primaryKey().notNull())
    .addColumn('account', 'text', column => column.notNull().references('accounts.id'))
    .addColumn('path', 'text', required)
    .addColumn('name', 'text', required)
    .addColumn('description', 'text', required)
    .addColumn('default_version', 'integer', required)
    .addColumn('created_at_ms', 'bigint', required)
    .addColumn('generation', 'bigint', required)
    .addUniqueConstraint('managed_policies_name', ['account', 'name'])
    .execute()
  await schema
    .createTable('managed_policy_versions')
    .addColumn('policy_id', 'text', column => column.notNull().references('managed_policies.id').onDelete('cascade'))
    .addColumn('version', 'integer', required)
    .addColumn('document', 'text', required)
    .addColumn('created_at_ms', 'bigint', required)
    .addPrimaryKeyConstraint('managed_policy_versions_primary', ['policy_id', 'version'])
    .execute()
}

async function rebuildIdentities(db: Kysely<unknown>, bytes: BytesColumn): Promise<void> {
  const { schema } = db
  await schema.dropIndex('access_keys_of_identity').execute()
  for (const table of ['identities', 'identity_policies', 'access_keys'])
    await schema.alterTable(table).renameTo(`${table}_0001`).execute()
  await schema
    .createTable('identities')
    .addColumn('principal_id', 'text', column => column.primaryKey().notNull())
    .addColumn('account', 'text', column => column.notNull().references('accounts.id'))
    .addColumn('kind', 'text', required)
    .addColumn('path', 'text', required)
    .addColumn('name', 'text', required)
    .addColumn('created_at_ms', 'bigint', required)
    .addColumn('generation', 'bigint', required)
    .addColumn('boundary_id', 'text', column => column.references('managed_policies.id'))
    .addColumn('trust_policy', 'text')
    .addColumn('trust_principals', 'text')
    .addColumn('session_seconds_max', 'integer')
    .addColumn('revoked_before_ms', 'bigint')
    .addUniqueConstraint('identities_name_of_kind', ['account', 'kind', 'name'])
    .execute()
  await schema
    .createIndex('services_name')
    .unique()
    .on('identities')
    .column('name')
    .where(sql<boolean>`kind = 'service'`)
    .execute()
  await schema
    .createTable('identity_policies')
    .addColumn('principal_id', 'text', ofIdentity)
    .addColumn('name', 'text', required)
    .addColumn('document', 'text', required)
    .addPrimaryKeyConstraint('identity_policies_of_identity', ['principal_id', 'name'])
    .execute()
  await schema
    .createTable('access_keys')
    .addColumn('id', 'text', column => column.primaryKey().notNull())
    .addColumn('principal_id', 'text', ofIdentity)
    .addColumn('active', 'integer', required)
    .addColumn('sealed_secret', bytes, required)
    .addColumn('created_at_ms', 'bigint', required)
    .execute()
  await sql`
    insert into identities (principal_id, account, kind, path, name, created_at_ms, generation)
    select principal_id, account, kind, path, name, created_at_ms, 1 from identities_0001`.execute(db)
  await sql`insert into identity_policies select * from identity_policies_0001`.execute(db)
  await sql`insert into access_keys select * from access_keys_0001`.execute(db)
  for (const table of ['access_keys', 'identity_policies', 'identities'])
    await schema.dropTable(`${table}_0001`).execute()
  await schema.createIndex('access_keys_of_identity').on('access_keys').column('principal_id').execute()
}

async function createFacts(schema: Schema): Promise<void> {
  await schema
    .createTable('attached_policies')
    .addColumn('principal_id', 'text', ofIdentity)
    .addColumn('policy_id', 'text', column => column.notNull().references('managed_policies.id'))
    .addPrimaryKeyConstraint('attached_policies_primary', ['principal_id', 'policy_id'])
    .execute()
  await schema.createIndex('attached_policies_of_policy').on('attached_policies').column('policy_id').execute()
  await schema
    .createTable('group_members')
    .addColumn('principal_id', 'text', ofIdentity)
    .addColumn('group_id', 'text', ofIdentity)
    .addPrimaryKeyConstraint('group_members_primary', ['principal_id', 'group_id'])
    .execute()
  await schema.createIndex('group_members_of_group').on('group_members').column('group_id').execute()
  await schema
    .createTable('identity_tags')
    .addColumn('principal_id', 'text', ofIdentity)
    .addColumn('tag_key', 'text', required)
    .addColumn('tag_value', 'text', required)
    .addPrimaryKeyConstraint('identity_tags_primary', ['principal_id', 'tag_key'])
    .execute()
  // Apart from the keys, whose rows change only when somebody changes them.
  await schema
    .createTable('access_key_uses')
    .addColumn('access_key_id', 'text', column =>
      column.primaryKey().notNull().references('access_keys.id').onDelete('cascade'),
    )
    .addColumn('at_ms', 'bigint', required)
    .addColumn('region', 'text', required)
    .addColumn('service', 'text', required)
    .execute()
}

function required(column: ColumnDefinitionBuilder): ColumnDefinitionBuilder {
  return column.notNull()
}

function withDefault(value: string) {
  return (column: ColumnDefinitionBuilder) => column.notNull().defaultTo(value)
}

/** Goes with the identity it belongs to. */
function ofIdentity(column: ColumnDefinitionBuilder): ColumnDefinitionBuilder {
  return column.notNull().references('identities.principal_id').onDelete('cascade')
}
