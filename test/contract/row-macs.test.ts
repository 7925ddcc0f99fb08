/**
 * What a key store does with the MACs of its records, whoever makes them: a signer of this test, and the HSM hosts of a
 * region.
 */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { HsmPool } from '../../src/hsm/pool/pool.ts'
import { PoolRowSigner } from '../../src/keyring/row-signer.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { RowSigner } from '../../src/store/row-signer.ts'
import type { Store } from '../../src/store/store.ts'
import { TestSigner } from '../support/row-signer.ts'
import { makeTokenDomain, REGION, type TokenDomain } from '../support/tokens.ts'
import {
  makeAccessKey,
  makeAlias,
  makeGrant,
  makeIdentity,
  makeKey,
  makeTemporaryFolder,
  SCOPE,
} from '../unit/store/records.ts'

let tokens: TokenDomain
let pool: HsmPool

beforeAll(async () => {
  tokens = await makeTokenDomain(['a'])
  pool = await tokens.startPool()
})

afterAll(async () => {
  await pool?.close()
  tokens?.remove()
})

const SIGNERS = [
  ['a signer of this test', () => new TestSigner()],
  ['HSM hosts', () => new PoolRowSigner({ home: REGION, poolOf: region => (region === REGION ? pool : undefined) })],
] as const

describe.each(SIGNERS)('records with MACs of %s', (_name, makeSigner) => {
  let folder: ReturnType<typeof makeTemporaryFolder>
  let signer: RowSigner
  let store: Store
  let refused: string[]

  const open = () =>
    openStore({
      path: join(folder.path, 'store.db'),
      rows: {
        signer,
        onRefused: ({ table, primaryKey, reason }) => void refused.push(`${table} ${primaryKey}: ${reason}`),
      },
    })

  beforeEach(async () => {
    folder = makeTemporaryFolder()
    signer = makeSigner()
    refused = []
    store = await open()
  })

  afterEach(async () => {
    await store.close()
    folder.remove()
  })

  /** While the store is closed: this process must not open the file by other means otherwise. */
  async function byHand(sql: string, ...values: (string | number)[]): Promise<void> {
    await store.close()
    const database = new DatabaseSync(join(folder.path, 'store.db'))
    database.prepare(sql).run(...values)
    database.close()
    store = await open()
  }

  async function insertKey() {
    const key = makeKey({ region: REGION })
    await store.transaction(tx => tx.insertKey(key))
    return key
  }

  it('are read as they were written, key by key, and refused once one of their rows is another', async () => {
    expect(await store.rowMacs.complete()).toBe(0)
    const key = await insertKey()
    const alias = makeAlias(key, 'alias/mine')
    const grant = makeGrant()
    await store.transaction(async tx => {
      await tx.insertAlias(alias)
      await tx.putTags(key, [{ key: 'team', value: 'billing' }])
      await tx.insertGrant(key, grant)
    })
    await store.close()
    store = await open()
    expect((await store.reader.findKey(key, key.id))?.grants).toHaveLength(1)
    expect(await store.reader.findAlias(alias, alias.name)).toMatchObject({ keyId: key.id })
    expect((await store.rowMacs.verify(undefined, 100)).refused).toEqual([])
    await byHand("UPDATE grants SET operations = '[]' WHERE id = ?", grant.id)
    await expect(store.reader.findKey(key, key.id)).rejects.toMatchObject({ name: 'RowRefused', table: 'keys' })
    await expect(store.reader.findGrant(grant.id)).rejects.toMatchObject({ name: 'RowRefused' })
    await expect(store.hot.key(key, key.id)).rejects.toMatchObject({ name: 'RowRefused' })
    expect(refused).toEqual([`keys ${REGION}/${key.account}/${key.id}: its MAC does not match it`])
    expect((await store.rowMacs.verify(undefined, 100)).refused).toMatchObject([{ table: 'keys' }])
  })

  it('are refused without a MAC, and with a version that nobody has', async () => {
    await store.rowMacs.complete()
    const [first, second] = [await insertKey(), await insertKey()]
    await byHand("DELETE FROM row_macs WHERE primary_key LIKE '%' || ?", first.id)
    await byHand("UPDATE row_macs SET mac_version = 9 WHERE primary_key LIKE '%' || ?", second.id)
    for (const { id } of [first, second])
      await expect(store.reader.findKey(first, id)).rejects.toMatchObject({ name: 'RowRefused' })
  })

  it('refuse an identity with an access key that was added, and its deleted access key put back', async () => {
    await store.rowMacs.complete()
    const ann = makeIdentity('ann')
    const accessKey = makeAccessKey(ann)
    await store.transaction(async tx => {
      await tx.insertAccount({ id: SCOPE.account, name: '', createdAtMs: 1 })
      await tx.insertIdentity(ann)
      await tx.insertAccessKey(accessKey)
    })
    expect(await store.hot.accessKey(accessKey.id)).toBeDefined()
    await store.transaction(tx => tx.deleteAccessKey(accessKey))
    await byHand(
      "INSERT INTO access_keys (id, principal_id, active, sealed_secret, created_at_ms) VALUES (?, ?, 1, x'00', 1)",
      ...[accessKey.id, ann.principalId],
    )
    expect(await store.hot.accessKey(accessKey.id)).toBeUndefined()
    expect(await store.hot.principal(ann.principalId)).toBeUndefined()
    expect(refused.map(line => line.split(' ')[0])).toEqual(['access_keys', 'identities'])
  })

  it('are signed once as they are in a store that has none, and then never again', async () => {
    const key = await insertKey()
    expect(await store.rowMacs.areComplete()).toBe(false)
    expect(await store.reader.findKey(key, key.id)).toBeDefined()
    expect(await store.rowMacs.complete()).toBe(1)
    expect(await store.rowMacs.complete()).toBe(0)
    await byHand("UPDATE keys SET description = 'edited'")
    expect(await store.rowMacs.complete()).toBe(0)
    await expect(store.reader.findKey(key, key.id)).rejects.toMatchObject({ name: 'RowRefused' })
  })

  it('are not changed by a process that makes no MACs', async () => {
    await store.rowMacs.complete()
    const key = await insertKey()
    const other = await openStore({ path: join(folder.path, 'store.db') })
    try {
      const change = other.transaction(tx =>
        tx.updateKey({ ...key, state: 'Disabled', generation: key.generation + 1 }),
      )
      await expect(change).rejects.toMatchObject({ name: 'NoRowSigner' })
    } finally {
      await other.close()
    }
    expect(await store.reader.findKey(key, key.id)).toMatchObject({ state: 'Enabled' })
  })
})

describe('records with MACs', () => {
  let folder: ReturnType<typeof makeTemporaryFolder>
  let signer: TestSigner
  let store: Store

  beforeEach(async () => {
    folder = makeTemporaryFolder()
    signer = new TestSigner()
    store = await openStore({ path: join(folder.path, 'store.db'), rows: { signer } })
    await store.rowMacs.complete()
  })

  afterEach(async () => {
    await store.close()
    folder.remove()
  })

  it('are not written when nobody can sign them', async () => {
    const key = makeKey({})
    signer.fails = true
    await expect(store.transaction(tx => tx.insertKey(key))).rejects.toThrow('no HSM can serve')
    expect(await store.reader.findKey(key, key.id)).toBeUndefined()
  })

  it('cost no command while memory holds them, and two to be made: their own and that of the ledger', async () => {
    const key = makeKey({})
    signer.asked = 0
    await store.transaction(tx => tx.insertKey(key))
    expect(signer.asked).toBe(2)
    await store.hot.key(key, key.id)
    expect(signer.asked).toBe(3)
    for (let at = 0; at < 10; at += 1) expect(store.hot.key(key, key.id)).not.toBeInstanceOf(Promise)
    expect(signer.asked).toBe(3)
  })

  it('let an alias be deleted and made again, and refuse one that is put back, and its keys', async () => {
    const [first, second] = [makeKey({}), makeKey({})]
    const alias = makeAlias(first, 'alias/mine')
    await store.transaction(async tx => {
      await tx.insertKey(first)
      await tx.insertKey(second)
      await tx.insertAlias(alias)
    })
    expect(await store.hot.alias(alias, alias.name)).toMatchObject({ keyId: first.id })
    const path = join(folder.path, 'store.db')
    await store.close()
    const database = new DatabaseSync(path)
    const old = database.prepare("SELECT * FROM row_macs WHERE table_name = 'aliases'").get()
    database.close()
    store = await openStore({ path, rows: { signer } })
    await store.transaction(tx => tx.deleteAlias(alias))
    await store.transaction(tx => tx.insertAlias({ ...alias, keyId: second.id }))
    expect(await store.hot.alias(alias, alias.name)).toMatchObject({ keyId: second.id })
    await store.close()
    const again = new DatabaseSync(path)
    again.prepare('UPDATE aliases SET key_id = ?').run(first.id)
    again
      .prepare("UPDATE row_macs SET generation = ?, mac = ? WHERE table_name = 'aliases'")
      .run(old!.generation as number, old!.mac as Uint8Array)
    again.close()
    store = await openStore({ path, rows: { signer } })
    await expect(store.hot.alias(alias, alias.name)).rejects.toMatchObject({ name: 'RowRefused' })
    for (const { id } of [first, second])
      await expect(store.hot.key(first, id)).rejects.toMatchObject({ name: 'RowRefused' })
  })

  it('are signed anew under the next version, unless they were changed by hand', async () => {
    const keys = [makeKey({}), makeKey({}), makeKey({})]
    for (const key of keys) await store.transaction(tx => tx.insertKey(key))
    signer.version = 2
    // The keys, the mark of the store, and the head of the ledger.
    expect(await store.reader.countRowMacsBelow(REGION, 2)).toBe(5)
    while ((await store.rowMacs.renew(REGION, 2, 2)) > 0);
    expect(await store.reader.countRowMacsBelow(REGION, 2)).toBe(0)
    for (const key of keys) expect(await store.reader.findKey(key, key.id)).toBeDefined()
    signer.version = 3
    await store.close()
    const database = new DatabaseSync(join(folder.path, 'store.db'))
    database.exec("UPDATE keys SET description = 'edited'")
    database.close()
    store = await openStore({ path: join(folder.path, 'store.db'), rows: { signer } })
    await expect(store.rowMacs.renew(REGION, 3, 100)).rejects.toMatchObject({ name: 'RowRefused' })
  })
})
