/**
 * How many keys an account has in a region, services' keys aside: with each new key its quota is asked for, and to count a
 * million keys takes a tenth of a second. They carry no MACs: nobody gains a right by them.
 */
import { type Kysely, sql } from 'kysely'

export async function createKeyCounts(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('key_counts')
    .addColumn('region', 'text', column => column.notNull())
    .addColumn('account', 'text', column => column.notNull())
    .addColumn('keys', 'integer', column => column.notNull())
    .addPrimaryKeyConstraint('key_counts_primary', ['region', 'account'])
    .execute()
  await sql`
    insert into key_counts (region, account, keys)
    select region, account, count(*) from keys where managed_by is null group by region, account
  `.execute(db)
  await db.schema.dropIndex('keys_of_services').execute()
}
