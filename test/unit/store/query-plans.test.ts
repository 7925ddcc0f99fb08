/**
 * What is asked again and again, or with every request, finds its rows by an index: with a million keys, a statement that
 * looks at all of them stops the service for seconds.
 */
import { join } from 'node:path'
import { DatabaseSync, StatementSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals'
import { openStore } from '../../../src/store/open-store.ts'
import type { Store } from '../../../src/store/store.ts'
import { TestSigner } from '../../support/row-signer.ts'
import { makeAlias, makeGrant, makeKey, makeTemporaryFolder, SCOPE } from './records.ts'

/** Tables with as many rows as there are keys, or more. */
const LARGE = /^SCAN (keys|materials|aliases|tags|grants|key_uses|import_keys|row_macs|ledger_buckets|tombstones)\b/
const PAGE = { after: 'a', limit: 10 }

let folder: ReturnType<typeof makeTemporaryFolder>
let store: Store
let database: DatabaseSync

beforeAll(async () => {
  folder = makeTemporaryFolder()
  const path = join(folder.path, 'store.db')
  store = await openStore({ path, rows: { signer: new TestSigner() } })
  database = new DatabaseSync(path, { readOnly: true })
  await store.rowMacs.complete()
})

afterAll(async () => {
  database.close()
  await store.close()
  folder.remove()
})

/** Every statement that `work` has SQLite run, as text. */
async function statementsOf(work: () => Promise<unknown>): Promise<string[]> {
  const texts = new Set<string>()
  const spies = (['all', 'run'] as const).map(name => {
    const genuine = StatementSync.prototype[name] as (...values: unknown[]) => never
    return jest.spyOn(StatementSync.prototype, name).mockImplementation(function (this: StatementSync, ...values) {
      texts.add(this.sourceSQL)
      return genuine.apply(this, values)
    })
  })
  try {
    await work()
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
  return [...texts].filter(text => /^\s*(select|insert|update|delete)/i.test(text))
}

function planOf(statement: string): string[] {
  const places = statement.match(/\?/g)?.length ?? 0
  const rows = database.prepare(`EXPLAIN QUERY PLAN ${statement}`).all(...Array(places).fill(0))
  return rows.map(row => String(row.detail))
}

it.each<[string, () => Promise<unknown>]>([
  ['keys whose deletion is due', () => store.reader.listKeysDueForDeletion(1, 10)],
  ['keys whose rotation is due', () => store.reader.listKeysDueForRotation(1, 10)],
  ['imported material that has expired', () => store.reader.listKeysWithExpiredMaterial(1, 10)],
  ['wrapping keys that have ended', () => store.reader.listDueImportKeys(1, 10)],
  ['the number of keys', () => store.reader.countKeys(SCOPE)],
  ['a page of keys', () => store.reader.listKeyIds(SCOPE, PAGE)],
  ['a page of aliases', () => store.reader.listAliases(SCOPE, undefined, PAGE)],
  ['a page of grants', () => store.reader.listGrantsToRetire(SCOPE.region, 'a', PAGE)],
  ['a key', () => store.reader.findKey(SCOPE, 'a')],
  ['the owner of a key', () => store.reader.findKeyOwner(SCOPE.region, 'a')],
  ['the regions of a key', () => store.reader.listRegionsOfKey(SCOPE.account, 'a')],
  ['uses of keys', () => store.transaction(tx => tx.putKeyUses([{ ...SCOPE, ...USE }]))],
  ['a key that is made, changed and deleted', liveAndDie],
  ['MACs that are verified', () => store.rowMacs.verify({ table: 'keys', primaryKey: 'a' }, 10)],
  ['MACs that are made anew', () => store.rowMacs.renew(SCOPE.region, 2, 10)],
  ['EKT records to re-wrap', () => store.reader.listEkts(SCOPE.region, 1, undefined, 10)],
])('%s are found by an index', async (_what, work) => {
  const statements = await statementsOf(work)
  expect(statements).not.toEqual([])
  for (const statement of statements)
    expect([statement, ...planOf(statement)]).not.toContainEqual(expect.stringMatching(LARGE))
})

it('goes from one MAC to the next without looking at those before it', async () => {
  const [statement = ''] = (
    await statementsOf(() => store.rowMacs.verify({ table: 'keys', primaryKey: 'a' }, 10))
  ).filter(text => text.includes('order by "table_name"'))
  expect(planOf(statement).join()).toContain('(table_name,primary_key)>(?,?)')
})

const USE = { keyId: 'a', operation: 'Encrypt', atMs: 1, requestId: 'r' } as const

async function liveAndDie(): Promise<void> {
  const key = makeKey()
  await store.transaction(async tx => {
    await tx.insertKey(key)
    await tx.insertAlias(makeAlias(key, 'alias/a'))
    await tx.insertGrant(key, makeGrant())
    await tx.putTags(key, [{ key: 'a', value: 'b' }])
  })
  const changed = { ...key, generation: 2, deletionAtMs: 1 }
  await store.transaction(tx => tx.updateKey(changed))
  await store.transaction(tx => tx.deleteKey(changed, 2))
}
