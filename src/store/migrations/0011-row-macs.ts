/**
 * MACs of the records that decide who may do what, or which key is meant. They stand beside the tables that they protect,
 * one for a row with all that belongs to it, and most outlive it: a record that was deleted is known to be.
 */
import type { Kysely } from 'kysely'
import type { BytesColumn } from '../dialects/database.ts'

export async function createRowMacs({ schema }: Kysely<unknown>, bytes: BytesColumn): Promise<void> {
  await schema
    .createTable('row_macs')
    .addColumn('table_name', 'text', column => column.notNull())
    .addColumn('primary_key', 'text', column => column.notNull())
    .addColumn('generation', 'bigint', column => column.notNull())
    .addColumn('region', 'text', column => column.notNull())
    .addColumn('mac_version', 'integer', column => column.notNull())
    .addColumn('mac', bytes, column => column.notNull())
    .addPrimaryKeyConstraint('row_macs_primary', ['table_name', 'primary_key'])
    .execute()
  await schema.createIndex('row_macs_by_version').on('row_macs').columns(['region', 'mac_version']).execute()
}
