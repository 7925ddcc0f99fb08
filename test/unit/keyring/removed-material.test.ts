/** Imported material is gone once the transaction has committed, though somebody who reads keeps it from being overwritten at once. */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Imports } from '../../../src/keyring/imports.ts'
import type { KmsKey } from '../../../src/model/key.ts'
import { openStore } from '../../../src/store/open-store.ts'
import type { ImportKey } from '../../../src/store/records.ts'
import type { Store } from '../../../src/store/store.ts'
import { scrubStore } from '../../../src/tasks/scrub-store.ts'
import { makeEkt, makeKey, makeTemporaryFolder } from '../store/records.ts'

let folder: ReturnType<typeof makeTemporaryFolder>
let path: string
let store: Store
let imports: Imports
let key: KmsKey
let importKey: ImportKey
let reading: DatabaseSync

const onDisk = (record: Buffer) =>
  execFileSync('cat', [path, `${path}-wal`], { maxBuffer: 2 ** 28 }).includes(record.subarray(0, 32))

beforeEach(async () => {
  folder = makeTemporaryFolder()
  path = join(folder.path, 'store.db')
  store = await openStore({ path, lockWaitMs: 50 })
  imports = new Imports({ pools: new Map(), store, clock: () => 1_000, inHostAllowed: false })
  key = makeKey({ origin: 'EXTERNAL' })
  importKey = {
    ...{ region: key.region, account: key.account, keyId: key.id, importId: randomBytes(16), attempts: 0 },
    ...{ algorithm: 'RSAES_OAEP_SHA_256', spec: 'RSA_2048', ekt: makeEkt(2_000), notAfterMs: 2_000 },
  }
  await store.transaction(async tx => {
    await tx.insertKey(key)
    await tx.insertImportKey(importKey)
  })
  await store.scrub()
  // As a backup does for as long as it copies.
  reading = new DatabaseSync(path, { readOnly: true })
  reading.exec('BEGIN; SELECT count(*) FROM keys')
})

afterEach(async () => {
  if (reading.isOpen) reading.close()
  await store.close()
  folder.remove()
})

describe('a removal while somebody reads the database', () => {
  it.each([
    ['material', () => imports.remove(key, () => true), () => key.current!.ekt!.record],
    ['a wrapping key', () => imports.end(importKey), () => importKey.ekt.record],
  ])('of %s succeeds, and owes the disk that it is overwritten', async (_, remove, recordOf) => {
    const record = recordOf()
    expect(store.scrubOwed).toBe(false)
    await remove()
    expect([store.scrubOwed, onDisk(record)]).toEqual([true, true])
    await expect(scrubStore(store)).rejects.toThrow('removed rows are still in it')
    expect(store.scrubOwed).toBe(true)
    // Nothing is left to remove: what is owed does not depend on it.
    await remove().catch(() => {})
    reading.exec('COMMIT')
    await scrubStore(store)
    expect([store.scrubOwed, onDisk(record)]).toEqual([false, false])
  })
})

describe('a store', () => {
  it('owes a scrub from the start: who had it before may have ended owing one', async () => {
    const again = await openStore({ path })
    expect(again.scrubOwed).toBe(true)
    reading.close()
    await again.scrub()
    expect(again.scrubOwed).toBe(false)
    await again.close()
  })

  it('owes none for what removes no key material', async () => {
    await store.transaction(tx => tx.updateKey({ ...key, generation: key.generation + 1 }))
    expect(store.scrubOwed).toBe(false)
  })

  it('owes another for what is removed while one runs', async () => {
    reading.close()
    const running = store.scrub()
    await store.transaction(tx => tx.deleteImportKey(importKey))
    await running
    expect(store.scrubOwed).toBe(true)
  })
})
