/**
 * How many keys an account has in a region, those of services aside: changed in the transaction that makes or deletes a key,
 * so that a quota holds whoever else is at it, and costs the same however many there are. No MAC covers the counts: whoever
 * writes to the database gains no more than keys beyond a quota, and `store verify` compares them with the keys.
 */
import { sql } from 'kysely'
import type { KmsKey } from '../../model/key.ts'
import type { Scope } from '../store.ts'
import type { Handle } from './tables.ts'

export async function countKeys(db: Handle, { region, account }: Scope): Promise<number> {
  const row = await db
    .selectFrom('key_counts')
    .select('key_count')
    .where('region', '=', region)
    .where('account', '=', account)
    .executeTakeFirst()
  return row?.key_count ?? 0
}

/** To be called with each key that is inserted, by 1, and each that is deleted, by -1. */
export async function changeKeyCount(
  db: Handle,
  key: Pick<KmsKey, 'region' | 'account' | 'managedBy'>,
  change: number,
): Promise<void> {
  if (key.managedBy !== undefined) return
  await db
    .insertInto('key_counts')
    .values({ region: key.region, account: key.account, key_count: change })
    .onConflict(conflict =>
      conflict.columns(['region', 'account']).doUpdateSet(({ eb, ref }) => ({
        key_count: eb(ref('key_counts.key_count'), '+', ref('excluded.key_count')),
      })),
    )
    .execute()
}

/** Of one account in one region. */
export interface Miscount extends Scope {
  readonly counted: number
  readonly there: number
}

/** Reads every key. */
export async function listMiscounts(db: Handle, limit: number): Promise<Miscount[]> {
  const { rows } = await sql<Miscount>`
    select region, account, sum(counted) as counted, sum(there) as there from (
      select region, account, key_count as counted, 0 as there from key_counts
      union all
      select region, account, 0, count(*) from keys where managed_by is null group by region, account
    ) as counts group by region, account having sum(counted) <> sum(there) limit ${limit}
  `.execute(db)
  return rows
}
