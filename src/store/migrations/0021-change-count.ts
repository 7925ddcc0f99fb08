/**
 * How many transactions have changed the store, so that processes that tell each other of theirs see that somebody else has
 * made one. The audit log's own are not counted: nothing that memory holds is theirs.
 */
import { type Kysely, sql } from 'kysely'

export async function createChangeCount(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('change_count')
    .addColumn('id', 'integer', column => column.notNull().primaryKey())
    .addColumn('changes', 'bigint', column => column.notNull())
    .execute()
  await sql`insert into change_count (id, changes) values (0, 0)`.execute(db)
}
