/**
 * The audit log as the key store holds it: blocks of its lines as they stand in its files, for those who ask; events that are
 * committed with a change and not chained yet; and how far each forwarder has come.
 */
import type { Kysely } from 'kysely'
import type { BytesColumn } from '../dialects/database.ts'

export async function createAuditLog({ schema }: Kysely<unknown>, bytes: BytesColumn): Promise<void> {
  await schema
    .createTable('audit_blocks')
    .addColumn('chain', 'text', column => column.notNull())
    .addColumn('number', 'integer', column => column.notNull())
    .addColumn('first_seq', 'bigint', column => column.notNull())
    .addColumn('last_seq', 'bigint', column => column.notNull())
    .addColumn('first_at_ms', 'bigint', column => column.notNull())
    .addColumn('last_at_ms', 'bigint', column => column.notNull())
    .addColumn('lines_bytes', 'integer', column => column.notNull())
    .addColumn('lines', bytes, column => column.notNull())
    .addPrimaryKeyConstraint('audit_blocks_primary', ['chain', 'number'])
    .execute()
  await schema
    .createIndex('audit_blocks_by_time')
    .on('audit_blocks')
    .columns(['last_at_ms', 'first_at_ms', 'chain', 'number', 'lines_bytes'])
    .execute()
  await schema
    .createTable('audit_pending_events')
    .addColumn('id', 'text', column => column.primaryKey())
    .addColumn('at_ms', 'bigint', column => column.notNull())
    .addColumn('event', 'text', column => column.notNull())
    .execute()
  await schema
    .createTable('audit_positions')
    .addColumn('name', 'text', column => column.primaryKey())
    .addColumn('file', 'text', column => column.notNull())
    .addColumn('byte_offset', 'bigint', column => column.notNull())
    .execute()
}
