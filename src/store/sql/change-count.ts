/** The number of transactions that have changed the store: each takes the next one. */
import type { Handle } from './tables.ts'

/** Counts the transaction that `db` is, and returns its number. */
export async function countChange(db: Handle): Promise<number> {
  const { changes } = await db
    .updateTable('change_count')
    .set(({ eb }) => ({ changes: eb('changes', '+', 1) }))
    .returning('changes')
    .executeTakeFirstOrThrow()
  return changes
}

/** The number of the last transaction that is committed. */
export async function findChangeCount(db: Handle): Promise<number> {
  const { changes } = await db.selectFrom('change_count').select('changes').executeTakeFirstOrThrow()
  return changes
}
