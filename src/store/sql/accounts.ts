/** Accounts: tenants, each with identities, keys and names of its own. */
import type { Account } from '../../model/identity.ts'
import { requireDeleted, requireInserted } from './outcomes.ts'
import type { Handle } from './tables.ts'

export async function findAccount(db: Handle, id: string): Promise<Account | undefined> {
  const row = await db.selectFrom('accounts').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? undefined : { id, name: row.name, createdAtMs: row.created_at_ms }
}

/** By id. */
export async function listAccounts(db: Handle): Promise<Account[]> {
  const rows = await db.selectFrom('accounts').selectAll().orderBy('id').execute()
  return rows.map(({ id, name, created_at_ms: createdAtMs }) => ({ id, name, createdAtMs }))
}

export async function insertAccount(db: Handle, { id, name, createdAtMs }: Account): Promise<void> {
  const inserted = await db
    .insertInto('accounts')
    .values({ id, name, created_at_ms: createdAtMs })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `account ${id}`)
}

/** The account must be empty. */
export async function deleteAccount(db: Handle, id: string): Promise<void> {
  requireDeleted(await db.deleteFrom('accounts').where('id', '=', id).executeTakeFirstOrThrow(), `account ${id}`)
}

/** Whether any key of the account is left, in any region. */
export async function accountHasKeys(db: Handle, id: string): Promise<boolean> {
  const row = await db.selectFrom('keys').select('id').where('account', '=', id).limit(1).executeTakeFirst()
  return row !== undefined
}
