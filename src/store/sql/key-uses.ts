/** When keys were used last. */
import type { KeyUse } from '../../model/key-use.ts'
import type { Scope } from '../records.ts'
import type { Handle } from './tables.ts'

export async function findKeyUse(db: Handle, scope: Scope, keyId: string): Promise<KeyUse | undefined> {
  const row = await db
    .selectFrom('key_uses')
    .selectAll()
    .where('region', '=', scope.region)
    .where('account', '=', scope.account)
    .where('key_id', '=', keyId)
    .executeTakeFirst()
  if (row === undefined) return undefined
  const { region, account, operation, event_id: eventId } = row
  const use = { region, account, keyId, operation, atMs: row.at_ms, requestId: row.request_id }
  return eventId === null ? use : { ...use, eventId }
}

export async function findTrackingStart(db: Handle): Promise<number> {
  const row = await db.selectFrom('key_use_tracking').select('started_at_ms').executeTakeFirstOrThrow()
  return row.started_at_ms
}

/** The newest use counts, whoever writes last; one of a key that is gone leaves nothing. */
export async function putKeyUses(db: Handle, uses: readonly KeyUse[]): Promise<void> {
  const there = await keysAmong(db, uses)
  const rows = uses
    .filter(use => there.has(nameOf(use)))
    .map(({ region, account, keyId, operation, atMs, requestId, eventId = null }) => {
      return { region, account, key_id: keyId, operation, at_ms: atMs, request_id: requestId, event_id: eventId }
    })
  if (rows.length === 0) return
  await db
    .insertInto('key_uses')
    .values(rows)
    .onConflict(conflict =>
      conflict
        .columns(['region', 'account', 'key_id'])
        .doUpdateSet(({ ref }) => ({
          operation: ref('excluded.operation'),
          at_ms: ref('excluded.at_ms'),
          request_id: ref('excluded.request_id'),
          event_id: ref('excluded.event_id'),
        }))
        .whereRef('key_uses.at_ms', '<', 'excluded.at_ms'),
    )
    .execute()
}

/** Those of the keys that are stored, one statement for each account and region. */
async function keysAmong(db: Handle, uses: readonly KeyUse[]): Promise<Set<string>> {
  const there = new Set<string>()
  for (const ofScope of Map.groupBy(uses, ({ region, account }) => `${region}/${account}`).values()) {
    const { region, account } = ofScope[0]!
    const ids = ofScope.map(({ keyId }) => keyId)
    const rows = await db
      .selectFrom('keys')
      .select('id')
      .where('region', '=', region)
      .where('account', '=', account)
      .where('id', 'in', ids)
      .execute()
    for (const { id: keyId } of rows) there.add(nameOf({ region, account, keyId }))
  }
  return there
}

function nameOf({ region, account, keyId }: Pick<KeyUse, 'region' | 'account' | 'keyId'>): string {
  return `${region}/${account}/${keyId}`
}
