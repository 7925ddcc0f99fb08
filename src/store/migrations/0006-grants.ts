/** Grants, whom key policies mean, and an index that finds the account of a key by its id: a ciphertext names its key, and not whose it is. */
import type { Kysely } from 'kysely'

export async function createGrants({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('grants')
    .addColumn('id', 'text', column => column.primaryKey().notNull())
    .addColumn('region', 'text', column => column.notNull())
    .addColumn('account', 'text', column => column.notNull())
    .addColumn('key_id', 'text', column => column.notNull())
    .addColumn('name', 'text', column => column.notNull())
    .addColumn('grantee', 'text', column => column.notNull())
    .addColumn('retiring', 'text')
    .addColumn('operations', 'text', column => column.notNull())
    .addColumn('constraints', 'text', column => column.notNull())
    .addColumn('principal_ids', 'text', column => column.notNull())
    .addColumn('issuing_account', 'text', column => column.notNull())
    .addColumn('token_seed', 'text', column => column.notNull())
    .addColumn('created_at_ms', 'bigint', column => column.notNull())
    .addForeignKeyConstraint(
      'grants_key',
      ['region', 'account', 'key_id'],
      'keys',
      ['region', 'account', 'id'],
      constraint => constraint.onDelete('cascade'),
    )
    .execute()
  await schema.createIndex('grants_of_key').on('grants').columns(['region', 'account', 'key_id', 'id']).execute()
  await schema.createIndex('grants_to_retire').on('grants').columns(['region', 'retiring', 'id']).execute()
  await schema
    .alterTable('keys')
    .addColumn('policy_principals', 'text', column => column.notNull().defaultTo('[]'))
    .execute()
  await schema.createIndex('keys_by_id').on('keys').columns(['region', 'id']).execute()
}
