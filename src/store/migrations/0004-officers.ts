/** The tables of dual control: its officers, its threshold, and what was put before them. */
import type { Kysely } from 'kysely'

export async function createOfficerTables({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createTable('officers')
    .addColumn('name', 'text', column => column.primaryKey().notNull())
    .addColumn('public_key', 'text', column => column.notNull())
    .addColumn('fingerprint', 'text', column => column.notNull().unique())
    .addColumn('added_at_ms', 'bigint', column => column.notNull())
    .execute()
  // One row, named "ceremonies".
  await schema
    .createTable('dual_control')
    .addColumn('id', 'text', column => column.primaryKey().notNull())
    .addColumn('threshold', 'integer', column => column.notNull())
    .addColumn('generation', 'bigint', column => column.notNull())
    .execute()
  await schema
    .createTable('approval_requests')
    .addColumn('id', 'text', column => column.primaryKey().notNull())
    .addColumn('text', 'text', column => column.notNull())
    .addColumn('state', 'text', column => column.notNull())
    .addColumn('created_at_ms', 'bigint', column => column.notNull())
    .addColumn('generation', 'bigint', column => column.notNull())
    .execute()
  await schema
    .createIndex('approval_requests_by_state')
    .on('approval_requests')
    .columns(['state', 'created_at_ms'])
    .execute()
  await schema
    .createTable('approvals')
    .addColumn('request_id', 'text', column => column.notNull().references('approval_requests.id'))
    .addColumn('officer', 'text', column => column.notNull())
    .addColumn('fingerprint', 'text', column => column.notNull())
    .addColumn('signature', 'text', column => column.notNull())
    .addColumn('approved_at_ms', 'bigint', column => column.notNull())
    .addColumn('counted', 'integer', column => column.notNull())
    .addPrimaryKeyConstraint('approvals_primary', ['request_id', 'fingerprint'])
    .execute()
}
