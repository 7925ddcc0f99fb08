/**
 * HBKs that reside in tokens as objects of their own: what was begun, what is in use, and what is still to be destroyed. A
 * row outlives its key, because a token may be away when the key is deleted.
 */
import type { Kysely } from 'kysely'
import type { BytesColumn } from '../dialects/database.ts'

export async function createResidentObjects({ schema }: Kysely<unknown>, bytes: BytesColumn): Promise<void> {
  await schema
    .createTable('resident_objects')
    .addColumn('region', 'text', column => column.notNull())
    .addColumn('serial', 'text', column => column.notNull())
    .addColumn('cka_id', bytes, column => column.notNull())
    .addColumn('state', 'text', column => column.notNull())
    .addColumn('created_at_ms', 'bigint', column => column.notNull())
    .addColumn('ekt', bytes)
    .addPrimaryKeyConstraint('resident_objects_primary', ['region', 'serial', 'cka_id'])
    .execute()
}
