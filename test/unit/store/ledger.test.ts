/**
 * What is put back into a store is not what was written last, whatever its MAC says: records, nodes of the ledger, and the
 * whole file beside what a token remembers. Signer and tokens are those of the test.
 */
import { createHmac } from 'node:crypto'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { type Anchor, placeOf } from '../../../src/formats/row-ledger.ts'
import { rowMacInput } from '../../../src/formats/row-mac.ts'
import type { KmsKey } from '../../../src/model/key.ts'
import { openStore } from '../../../src/store/open-store.ts'
import type { MacedRow, RowProtection } from '../../../src/store/row-signer.ts'
import type { Store } from '../../../src/store/store.ts'
import { makeGrant, makeKey, makeTemporaryFolder } from './records.ts'

const REGION = 'on-prem-1'
const MARK = 'the region that signs what belongs to none'

let folder: ReturnType<typeof makeTemporaryFolder>
let path: string
let store: Store
/** What the tokens of each region remember. */
let anchors: Map<string, Anchor>
let rolledBack: string[]

const macOf = (row: MacedRow) => {
  const input = rowMacInput({ ...row, macVersion: 1, domainId: Buffer.alloc(16) })
  return createHmac('sha256', 'the key of this test').update(input).digest()
}

const rows: RowProtection = {
  signer: {
    sign: async unsigned => unsigned.map(row => ({ region: row.region ?? MARK, macVersion: 1, mac: macOf(row) })),
    verify: async signed => signed.map(row => macOf(row).equals(row.mac)),
  },
  anchors: { read: async region => anchors.get(region) },
  onRolledBack: ({ region }) => void rolledBack.push(region),
}

const open = async () => {
  store = await openStore({ path, rows })
}

beforeEach(async () => {
  folder = makeTemporaryFolder()
  path = join(folder.path, 'store.db')
  anchors = new Map()
  rolledBack = []
  await open()
  await store.rowMacs.complete()
})

afterEach(async () => {
  await store.close()
  folder.remove()
})

async function byHand(change: (database: DatabaseSync) => void): Promise<void> {
  await store.close()
  const database = new DatabaseSync(path)
  change(database)
  database.close()
  await open()
}

async function insertKey(): Promise<KmsKey> {
  const key = makeKey({ region: REGION })
  await store.transaction(tx => tx.insertKey(key))
  return key
}

/** Rows of a key in these tables, as they are now; the function that puts them back. */
async function snapshotOf(key: KmsKey, tables: readonly string[]): Promise<(database: DatabaseSync) => void> {
  const columnOf: Readonly<Record<string, string>> = { keys: 'id', row_macs: 'primary_key' }
  const kept: { table: string; row: Record<string, SQLInputValue> }[] = []
  await byHand(database => {
    for (const table of tables) {
      const name = table === 'row_macs' ? `${key.region}/${key.account}/${key.id}` : key.id
      const found = database.prepare(`SELECT * FROM ${table} WHERE ${columnOf[table] ?? 'key_id'} = ?`).all(name)
      for (const row of found) kept.push({ table, row: row as Record<string, SQLInputValue> })
    }
  })
  return database => {
    for (const { table, row } of kept) {
      const columns = Object.keys(row)
      database
        .prepare(`INSERT OR REPLACE INTO ${table} (${columns}) VALUES (${columns.map(() => '?')})`)
        .run(...Object.values(row))
    }
  }
}

const refused = { name: 'RowRefused' }

describe('a record that is put back while nobody looks', () => {
  it('is refused: a revoked grant with the MAC of its key; another key is served', async () => {
    const [key, other] = [await insertKey(), await insertKey()]
    const grant = makeGrant()
    await store.transaction(tx => tx.insertGrant(key, grant))
    const putBack = await snapshotOf(key, ['grants', 'row_macs'])
    await store.transaction(tx => tx.deleteGrant({ ...key, keyId: key.id, grant }))
    await byHand(putBack)
    await expect(store.reader.findKey(key, key.id)).rejects.toMatchObject(refused)
    await expect(store.reader.findGrant(grant.id)).rejects.toMatchObject(refused)
    expect(await store.reader.findKey(other, other.id)).toMatchObject({ id: other.id })
    expect((await store.rowMacs.verify(undefined, 100)).refused).toMatchObject([{ table: 'keys' }])
  })

  it('is refused: a deleted key with its MAC, and it cannot be changed', async () => {
    const key = await insertKey()
    const putBack = await snapshotOf(key, ['keys', 'materials', 'row_macs'])
    await store.transaction(tx => tx.deleteKey(key, 1))
    await byHand(putBack)
    await expect(store.reader.findKey(key, key.id)).rejects.toMatchObject(refused)
    const change = store.transaction(tx => tx.updateKey({ ...key, state: 'Disabled', generation: key.generation + 1 }))
    await expect(change).rejects.toMatchObject(refused)
  })

  it('is refused: a key whose deletion was forgotten, MAC and all', async () => {
    const key = await insertKey()
    const putBack = await snapshotOf(key, ['keys', 'materials'])
    await store.transaction(tx => tx.deleteKey(key, 1))
    await byHand(database => {
      putBack(database)
      database.prepare("DELETE FROM row_macs WHERE primary_key LIKE '%' || ?").run(key.id)
      database.exec('DELETE FROM tombstones')
    })
    await expect(store.reader.findKey(key, key.id)).rejects.toMatchObject(refused)
  })
})

describe('a ledger that is changed by hand', () => {
  it.each([
    ['a leaf', 'UPDATE ledger_buckets SET leaves = zeroblob(16) WHERE bucket = ?', 1],
    ['a branch', 'UPDATE ledger_branches SET buckets = zeroblob(8192) WHERE branch = ?', 256],
  ])('has what stands under it refused, and not signed: %s', async (_what, sql, width) => {
    const key = await insertKey()
    const place = placeOf({ table: 'keys', primaryKey: `${key.region}/${key.account}/${key.id}` })
    await byHand(database => void database.prepare(sql).run(Math.floor(place / width)))
    await expect(store.reader.findKey(key, key.id)).rejects.toMatchObject(refused)
    const change = store.transaction(tx => tx.putTags(key, [{ key: 'a', value: 'b' }]))
    await expect(change).rejects.toMatchObject(refused)
    const anew = store.transaction(async tx => {
      await tx.deleteKey(key, 1)
      await tx.insertKey(key)
    })
    await expect(anew).rejects.toMatchObject(refused)
  })

  it.each([
    ['an epoch ahead', 'UPDATE ledger_heads SET epoch = epoch + 1000'],
    ['other branches', 'UPDATE ledger_heads SET branches = zeroblob(8192)'],
    ['no head', 'DELETE FROM ledger_heads'],
  ])('serves nothing under a head that no token has signed: %s', async (_what, sql) => {
    const key = await insertKey()
    await byHand(database => database.exec(sql))
    await expect(store.reader.findKey(key, key.id)).rejects.toMatchObject(refused)
    await expect(store.transaction(tx => tx.putTags(key, [{ key: 'a', value: 'b' }]))).rejects.toMatchObject(refused)
  })
})

describe('a store that is put back as a whole', () => {
  const older = { name: 'StoreRolledBack' }

  it('is refused when it is older than what the tokens remember, and the present one is not', async () => {
    const key = await insertKey()
    await store.close()
    copyFileSync(path, `${path}.old`)
    await open()
    await store.transaction(tx => tx.putTags(key, [{ key: 'a', value: 'b' }]))
    anchors.set(REGION, (await store.rowMacs.anchorOf(REGION))!)
    await store.transaction(tx => tx.putTags(key, [{ key: 'c', value: 'd' }]))
    await store.close()
    copyFileSync(path, `${path}.present`)
    copyFileSync(`${path}.old`, path)
    await open()
    for (const call of [
      () => store.reader.findKey(key, key.id),
      () => store.rowMacs.anchorOf(REGION),
      () => store.transaction(tx => tx.putTags(key, [{ key: 'e', value: 'f' }])),
      () => store.transaction(tx => tx.insertKey(makeKey({ region: REGION }))),
      () => store.rowMacs.verify(undefined, 100),
    ])
      await expect(call()).rejects.toMatchObject(older)
    expect(rolledBack).toEqual([REGION])
    await store.close()
    copyFileSync(`${path}.present`, path)
    await open()
    expect((await store.reader.findKey(key, key.id))?.tags).toHaveLength(2)
  })

  it('is refused when its ledger was made anew, with fewer records and as many changes', async () => {
    const key = await insertKey()
    anchors.set(REGION, { epoch: 1, digest: Buffer.alloc(32, 7) })
    await byHand(() => {})
    await expect(store.reader.findKey(key, key.id)).rejects.toMatchObject(older)
  })

  it('is refused beside a process that has seen a later one', async () => {
    const key = await insertKey()
    await store.close()
    copyFileSync(path, `${path}.old`)
    await open()
    await store.transaction(tx => tx.putTags(key, [{ key: 'a', value: 'b' }]))
    const putBack = new DatabaseSync(path)
    putBack.exec(`ATTACH '${path}.old' AS old; BEGIN IMMEDIATE`)
    for (const table of ['tags', 'row_macs', 'ledger_heads', 'ledger_branches', 'ledger_buckets'])
      putBack.exec(`DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM old.${table}`)
    putBack.exec('COMMIT')
    await expect(store.reader.findKey(key, key.id)).rejects.toMatchObject(older)
    putBack.close()
  })

  it('is not signed as it is when its MACs were removed: a token remembers that it had them', async () => {
    anchors.set(MARK, (await store.rowMacs.anchorOf(MARK))!)
    await byHand(database => {
      for (const table of ['row_macs', 'ledger_heads', 'ledger_branches', 'ledger_buckets'])
        database.exec(`DELETE FROM ${table}`)
    })
    await expect(store.rowMacs.complete()).rejects.toMatchObject(older)
    expect(await store.rowMacs.areComplete()).toBe(false)
  })
})
