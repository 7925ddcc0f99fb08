/**
 * What stands beside keys and decides nothing about them, so that no MAC covers it: the event in the audit log that tells of a
 * key's last use, null of uses from before; and how many keys an account has in a region, kept as they come and go, for
 * counting the rows takes longer the more there are.
 */
import { type Kysely, sql } from 'kysely'

export async function addUsesAndCounts(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('key_uses').addColumn('event_id', 'text').execute()
  await db.schema
    .createTable('key_counts')
    .addColumn('region', 'text', column => column.notNull())
    .addColumn('account', 'text', column => column.notNull())
    .addColumn('key_count', 'bigint', column => column.notNull())
    .addPrimaryKeyConstraint('key_counts_primary', ['region', 'account'])
    .execute()
  await sql`
    insert into key_counts (region, account, key_count)
    select region, account, count(*) from keys where managed_by is null group by region, account`.execute(db)
  await db.schema.dropIndex('keys_of_services').execute()
}
