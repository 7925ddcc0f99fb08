/** Aliases: names of keys, each within one account and region. */
import type { Alias } from '../../model/key.ts'
import type { AliasTarget, Page, Scope } from '../store.ts'
import { buildOnce } from './build-once.ts'
import { requireDeleted, requireInserted, requireUpdated } from './outcomes.ts'
import type { Handle, Tables } from './tables.ts'

export async function findAlias(db: Handle, { region, account }: Scope, name: string): Promise<Alias | undefined> {
  const [row] = await selectAlias(db, region, account, name)
  return row === undefined ? undefined : aliasOf(row)
}

export async function listAliases(
  db: Handle,
  { region, account }: Scope,
  keyId: string | undefined,
  page: Page,
): Promise<Alias[]> {
  const { after } = page
  const rows = await db
    .selectFrom('aliases')
    .selectAll()
    .where('region', '=', region)
    .where('account', '=', account)
    .$if(keyId !== undefined, query => query.where('key_id', '=', keyId!))
    .$if(after !== undefined, query => query.where('name', '>', after!))
    .orderBy('name')
    .limit(page.limit)
    .execute()
  return rows.map(aliasOf)
}

export async function countAliases(db: Handle, { region, account }: Scope, keyId: string): Promise<number> {
  const { count } = await db
    .selectFrom('aliases')
    .select(({ fn }) => fn.countAll().as('count'))
    .where('region', '=', region)
    .where('account', '=', account)
    .where('key_id', '=', keyId)
    .executeTakeFirstOrThrow()
  return Number(count)
}

/** The names of every alias of a key, however many: the cache forgets them when the key is deleted. */
export async function listAliasNames(db: Handle, { region, account }: Scope, keyId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('aliases')
    .select('name')
    .where('region', '=', region)
    .where('account', '=', account)
    .where('key_id', '=', keyId)
    .execute()
  return rows.map(row => row.name)
}

export async function insertAlias(db: Handle, alias: Alias): Promise<void> {
  const { region, account, name, keyId } = alias
  const inserted = await db
    .insertInto('aliases')
    .values({
      ...{ region, account, name, key_id: keyId },
      created_at_ms: alias.createdAtMs,
      updated_at_ms: alias.updatedAtMs,
    })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, name)
}

/** Throws ChangedMeanwhile when the alias no longer means the key that it was read with: another is asked about then. */
export async function updateAlias(db: Handle, alias: Alias, target: AliasTarget): Promise<void> {
  const updated = await db
    .updateTable('aliases')
    .set({ key_id: target.keyId, updated_at_ms: target.updatedAtMs })
    .where('region', '=', alias.region)
    .where('account', '=', alias.account)
    .where('name', '=', alias.name)
    .where('key_id', '=', alias.keyId)
    .executeTakeFirstOrThrow()
  requireUpdated(updated, alias.name)
}

/** Throws ChangedMeanwhile as `updateAlias` does. */
export async function deleteAlias(db: Handle, alias: Alias): Promise<void> {
  const deleted = await db
    .deleteFrom('aliases')
    .where('region', '=', alias.region)
    .where('account', '=', alias.account)
    .where('name', '=', alias.name)
    .where('key_id', '=', alias.keyId)
    .executeTakeFirstOrThrow()
  requireDeleted(deleted, alias.name)
}

const selectAlias = buildOnce((db, region: string, account: string, name: string) =>
  db
    .selectFrom('aliases')
    .selectAll()
    .where('region', '=', region)
    .where('account', '=', account)
    .where('name', '=', name),
)

function aliasOf(row: Tables['aliases']): Alias {
  const { region, account, name } = row
  return { region, account, name, keyId: row.key_id, createdAtMs: row.created_at_ms, updatedAtMs: row.updated_at_ms }
}
