/** How many records of a kind belong to one KMS key. */
import type { Scope } from '../records.ts'
import type { Handle } from './tables.ts'

export async function countOfKey(
  db: Handle,
  table: 'aliases' | 'import_keys',
  { region, account }: Scope,
  keyId: string,
): Promise<number> {
  const { count } = await db
    .selectFrom(table)
    .select(({ fn }) => fn.countAll().as('count'))
    .where('region', '=', region)
    .where('account', '=', account)
    .where('key_id', '=', keyId)
    .executeTakeFirstOrThrow()
  return Number(count)
}
