/**
 * When keys were used last, apart from the keys, whose rows change only when somebody changes them; and since when uses are
 * recorded. They carry no MACs: nothing is decided by them.
 */
import { type Kysely, sql } from 'kysely'

export async function createKeyUses(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('key_uses')
    .addColumn('region', 'text', column => column.notNull())
    .addColumn('account', 'text', column => column.notNull())
    .addColumn('key_id', 'text', column => column.notNull())
    .addColumn('operation', 'text', column => column.notNull())
    .addColumn('at_ms', 'bigint', column => column.notNull())
    .addColumn('request_id', 'text', column => column.notNull())
    .addPrimaryKeyConstraint('key_uses_primary', ['region', 'account', 'key_id'])
    .addForeignKeyConstraint(
      'key_uses_key',
      ['region', 'account', 'key_id'],
      'keys',
      ['region', 'account', 'id'],
      constraint => constraint.onDelete('cascade'),
    )
    .execute()
  await db.schema
    .createTable('key_use_tracking')
    .addColumn('started_at_ms', 'bigint', column => column.primaryKey().notNull())
    .execute()
  await sql`insert into key_use_tracking (started_at_ms) values (${Date.now()})`.execute(db)
}
