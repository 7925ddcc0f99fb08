/**
 * The ledgers of records: what shows that one, or the whole store, was put back (formats/row-ledger.ts). MACs from before
 * stand in none: `strongroom init` holds the records against them and enters them.
 */
import { type Kysely, sql } from 'kysely'
import type { BytesColumn } from '../dialects/database.ts'

export async function createRowLedger(db: Kysely<unknown>, bytes: BytesColumn): Promise<void> {
  const { schema } = db
  await sql`delete from row_macs where table_name = 'row_macs' and primary_key = 'all'`.execute(db)
  await schema
    .createTable('ledger_heads')
    .addColumn('region', 'text', column => column.notNull().primaryKey())
    .addColumn('epoch', 'bigint', column => column.notNull())
    .addColumn('branches', bytes, column => column.notNull())
    .addColumn('mac_version', 'integer', column => column.notNull())
    .addColumn('mac', bytes, column => column.notNull())
    .execute()
  await schema
    .createTable('ledger_branches')
    .addColumn('region', 'text', column => column.notNull())
    .addColumn('branch', 'integer', column => column.notNull())
    .addColumn('buckets', bytes, column => column.notNull())
    .addPrimaryKeyConstraint('ledger_branches_primary', ['region', 'branch'])
    .execute()
  await schema
    .createTable('ledger_buckets')
    .addColumn('region', 'text', column => column.notNull())
    .addColumn('bucket', 'integer', column => column.notNull())
    .addColumn('leaves', bytes, column => column.notNull())
    .addPrimaryKeyConstraint('ledger_buckets_primary', ['region', 'bucket'])
    .execute()
}
