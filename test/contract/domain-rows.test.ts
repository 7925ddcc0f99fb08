/** The rows of domains: signed like all that decides, refused once they were changed by hand, and with them what they vouch for. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { MULTI_REGION_DOMAIN } from '../../src/base/region.ts'
import { openSqlite } from '../../src/store/dialects/sqlite.ts'
import { Ledger } from '../../src/store/ledger.ts'
import { openStore } from '../../src/store/open-store.ts'
import { ALL_ROWS } from '../../src/store/row-guard.ts'
import { deleteMac, findMac, NO_CONTENT, putMac } from '../../src/store/sql/row-macs.ts'
import type { Domain, Store } from '../../src/store/store.ts'
import { TestSigner } from '../support/row-signer.ts'
import { makeDomain, makeKey, makeTemporaryFolder, SCOPE } from '../unit/store/records.ts'

const { region } = SCOPE
const CHANGED = { name: 'RowRefused', table: 'domains', primaryKey: region }

let folder: ReturnType<typeof makeTemporaryFolder>
let store: Store
let domain: Domain
let signer: TestSigner
let refused: string[]

const path = () => join(folder.path, 'store.db')

async function open(): Promise<void> {
  refused = []
  const onRefused = (row: { table: string; primaryKey: string; reason: string }) =>
    void refused.push(`${row.table} ${row.primaryKey}: ${row.reason}`)
  store = await openStore({ path: path(), rows: { signer, onRefused } })
}

beforeEach(async () => {
  folder = makeTemporaryFolder()
  signer = new TestSigner()
  domain = makeDomain()
  await open()
  await store.transaction(tx => tx.putDomain(domain))
})

afterEach(async () => {
  await store.close()
  folder.remove()
})

/** While the store is closed: this process must not open the file by other means otherwise. */
async function byHand(...statements: readonly string[]): Promise<void> {
  await store.close()
  const database = new DatabaseSync(path())
  database.exec('PRAGMA foreign_keys = ON')
  for (const sql of statements) database.exec(sql)
  database.close()
  await open()
}

describe('the row of a domain', () => {
  beforeEach(async () => {
    expect(await store.rowMacs.complete()).toBe(1)
  })

  it.each([
    ['its schemes', "UPDATE domains SET kdf = 'AES-CBC-DATA'"],
    ['that it is sealed', 'UPDATE domains SET sealed = 0'],
    ['its generation', 'UPDATE domains SET generation = generation + 1'],
    ['a check value', "UPDATE domain_key_versions SET check_value = '0000000000000000' WHERE version = 2"],
    ['the state of a version', "UPDATE domain_key_versions SET state = 'withdrawn' WHERE version = 1"],
    ['a token that was enrolled', "UPDATE domain_tokens SET state = 'retired' WHERE label = 'first'"],
    ['a key that checkpoints are signed with', "UPDATE domain_tokens SET audit_public_key = x'00'"],
    ['what a token holds', 'DELETE FROM domain_token_versions WHERE version = 2'],
    ['its MAC', "DELETE FROM row_macs WHERE table_name = 'domains'"],
  ])('is refused and named with another value of %s, and so is what it vouches for', async (_, sql) => {
    const key = makeKey()
    await store.transaction(tx => tx.insertKey(key))
    await byHand(sql)
    await expect(store.reader.findKey(key, key.id)).rejects.toMatchObject(CHANGED)
    await expect(store.reader.findDomain(region)).rejects.toMatchObject(CHANGED)
    await expect(store.rowMacs.requireDomain(region)).rejects.toMatchObject(CHANGED)
    expect(new Set(refused.map(line => line.split(':')[0]))).toEqual(new Set([`domains ${region}`]))
    // Hosts are told of it all the same: without them nobody could say that it is not genuine.
    const stored = (await store.reader.findStoredDomain(region))!
    const changed = { ...stored, generation: stored.generation + 1 }
    await expect(store.transaction(tx => tx.putDomain(changed))).rejects.toMatchObject(CHANGED)
    const disabled = { ...key, state: 'Disabled' as const, generation: key.generation + 1 }
    await expect(store.transaction(tx => tx.updateKey(disabled))).rejects.toMatchObject(CHANGED)
  })

  it('is refused when it was added, that of the domain which regions share, too', async () => {
    const key = makeKey()
    await store.transaction(tx => tx.insertKey(key))
    await byHand(
      `INSERT INTO domains (region, id, state, sealed, created_at_ms, generation, wrap_scheme, kdf)
        SELECT '${MULTI_REGION_DOMAIN}', 'another', state, sealed, created_at_ms, 1, wrap_scheme, kdf FROM domains`,
    )
    await expect(store.reader.findKey(key, key.id)).rejects.toMatchObject({ primaryKey: MULTI_REGION_DOMAIN })
    expect((await store.rowMacs.verify(undefined, 100)).refused).toEqual([])
    const found = []
    for await (const step of store.check()) found.push(...step.found)
    expect(found).toContainEqual({ table: 'domains', primaryKey: MULTI_REGION_DOMAIN, reason: 'it has no MAC' })
  })

  it('is signed with every change, and with what is decided upon it', async () => {
    const next = { ...domain, generation: 2, sealed: false }
    await store.transaction(async tx => {
      expect(await tx.findDomain(region)).toEqual(domain)
      await tx.putDomain(next)
    })
    await store.close()
    await open()
    expect(await store.reader.findDomain(region)).toEqual(next)
    expect((await store.rowMacs.verify(undefined, 100)).refused).toEqual([])
  })

  it('is left unsigned where nobody can sign it, and adopted once somebody can', async () => {
    const [first, second] = [2, 3].map(generation => ({ ...domain, generation }))
    signer.fails = true
    await store.transaction(tx => tx.putUnsignedDomain(first!))
    await store.transaction(tx => tx.putUnsignedDomain(second!))
    signer.fails = false
    await expect(store.reader.findDomain(region)).rejects.toMatchObject(CHANGED)
    await store.transaction(tx => tx.adoptDomain(region))
    expect(await store.reader.findDomain(region)).toEqual(second)
    const found = []
    for await (const step of store.check()) found.push(...step.found)
    expect(found).toEqual([])
  })
})

describe('a store of a version that signed no domains', () => {
  /** The mark of such a store, as the ledger listed it; the MACs of domains are gone from both. */
  async function makeOlder(): Promise<void> {
    await store.rowMacs.complete()
    await store.close()
    const database = await openSqlite({ path: path(), lockWaitMs: 1_000 })
    const [mark] = await signer.sign([{ ...ALL_ROWS, generation: 1, content: NO_CONTENT }])
    await database.writer.transaction().execute(async db => {
      const ledger = new Ledger(db)
      const present = (await findMac(db, ALL_ROWS.table, ALL_ROWS.primaryKey))!
      const name = { table: 'domains', primaryKey: region }
      const signed = (await findMac(db, name.table, name.primaryKey))!
      await ledger.replace(present.region, ALL_ROWS, present.mac, mark!.mac)
      await ledger.replace(signed.region, name, signed.mac, undefined)
      await deleteMac(db, name.table, name.primaryKey)
      await putMac(db, ALL_ROWS.table, ALL_ROWS.primaryKey, { ...mark!, generation: 1 })
      await ledger.write(heads =>
        signer.sign(
          heads.map(head => ({
            ...{ table: 'ledger_heads', primaryKey: head.region, generation: head.epoch, content: head.digest },
          })),
        ),
      )
    })
    await database.close()
    await open()
  }

  const rowsOf = (sql: string) => {
    const database = new DatabaseSync(path(), { readOnly: true })
    try {
      return database.prepare(sql).all() as Record<string, string | number | Uint8Array>[]
    } finally {
      database.close()
    }
  }
  const MARK = "SELECT hex(mac) AS mac FROM row_macs WHERE table_name = 'row_macs'"

  it('is read, and has them signed once', async () => {
    await makeOlder()
    const key = makeKey()
    await store.transaction(tx => tx.insertKey(key))
    expect(await store.rowMacs.areComplete()).toBe(false)
    expect(await store.reader.findDomain(region)).toEqual(domain)
    // A copy of it can be restored.
    const found = []
    for await (const step of store.check()) found.push(...step.found.filter(({ table }) => table !== 'materials'))
    expect(found).toEqual([])
    expect(await store.rowMacs.complete()).toBe(1)
    expect(await store.rowMacs.areComplete()).toBe(true)
    await byHand("DELETE FROM row_macs WHERE table_name = 'domains'")
    await expect(store.reader.findDomain(region)).rejects.toMatchObject(CHANGED)
    expect(await store.rowMacs.complete()).toBe(0)
  })

  it('has nothing else signed with them', async () => {
    await makeOlder()
    const key = makeKey()
    await store.transaction(tx => tx.insertKey(key))
    await byHand("DELETE FROM row_macs WHERE table_name = 'keys'")
    expect(await store.rowMacs.complete()).toBe(1)
    await expect(store.reader.findKey(key, key.id)).rejects.toMatchObject({ name: 'RowRefused', table: 'keys' })
  })

  it('is not what a store becomes when its former mark is put back', async () => {
    await makeOlder()
    await store.close()
    const [former] = rowsOf(MARK)
    await open()
    await store.rowMacs.complete()
    await byHand(
      "DELETE FROM row_macs WHERE table_name = 'domains'",
      `UPDATE row_macs SET generation = 1, mac = x'${former!.mac}' WHERE table_name = 'row_macs'`,
      "UPDATE domains SET kdf = 'AES-CBC-DATA'",
    )
    expect(await store.rowMacs.areComplete()).toBe(false)
    const forged = { name: 'RowRefused', table: 'row_macs' }
    await expect(store.rowMacs.complete()).rejects.toMatchObject(forged)
    await expect(store.reader.findDomain(region)).rejects.toMatchObject(forged)
    const next = { ...domain, generation: 2 }
    await expect(store.transaction(tx => tx.putDomain(next))).rejects.toMatchObject(forged)
    expect(refused).toEqual(['row_macs all: it is not the one that was written last'])
  })
})
