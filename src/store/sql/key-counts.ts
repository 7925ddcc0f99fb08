/** How many keys an account has in a region, kept in step with the keys that callers make and delete. */
import type { KmsKey } from '../../model/key.ts'
import type { Scope } from '../store.ts'
import type { Handle } from './tables.ts'

/** A number of keys that is not the one that is written down. */
export interface Miscount extends Scope {
  readonly written: number
  readonly found: number
}

export async function findKeyCount(db: Handle, { region, account }: Scope): Promise<number> {
  const row = await db
    .selectFrom('key_counts')
    .select('keys')
    .where('region', '=', region)
    .where('account', '=', account)
    .executeTakeFirst()
  return row?.keys ?? 0
}

/** With a key that is inserted, by 1, or deleted, by -1. Keys of services are not counted. */
export async function changeKeyCount(
  db: Handle,
  { region, account, managedBy }: Pick<KmsKey, 'region' | 'account' | 'managedBy'>,
  change: number,
): Promise<void> {
  if (managedBy !== undefined) return
  await db
    .insertInto('key_counts')
    .values({ region, account, keys: change })
    .onConflict(conflict =>
      conflict.columns(['region', 'account']).doUpdateSet(({ eb }) => ({ keys: eb('key_counts.keys', '+', change) })),
    )
    .execute()
}

/** Counts all keys, which takes its time. */
export async function listMiscounts(db: Handle): Promise<Miscount[]> {
  const rows = await db
    .selectFrom('keys')
    .select(({ fn }) => ['region', 'account', fn.countAll().as('count')])
    .where('managed_by', 'is', null)
    .groupBy(['region', 'account'])
    .execute()
  const written = await db.selectFrom('key_counts').selectAll().execute()
  const counts = new Map<string, Miscount>()
  for (const { region, account, keys } of written)
    counts.set(`${region}/${account}`, { region, account, written: keys, found: 0 })
  for (const { region, account, count } of rows) {
    const known = counts.get(`${region}/${account}`) ?? { region, account, written: 0 }
    counts.set(`${region}/${account}`, { ...known, found: Number(count) })
  }
  return [...counts.values()].filter(count => count.written !== count.found)
}
