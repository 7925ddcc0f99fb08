/** Uses of keys between a request and the store: two daemons' on one store, a store that fails, and a bound. */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { KeyUses } from '../../../src/keyring/key-uses.ts'
import type { KmsKey } from '../../../src/model/key.ts'
import { openStore } from '../../../src/store/open-store.ts'
import type { Store } from '../../../src/store/store.ts'
import { makeKey, makeTemporaryFolder } from '../store/records.ts'

let folder: ReturnType<typeof makeTemporaryFolder>
let stores: Store[]

beforeEach(() => {
  folder = makeTemporaryFolder()
  stores = []
})

afterEach(async () => {
  for (const store of stores) await store.close()
  folder.remove()
})

async function open(): Promise<Store> {
  const store = await openStore({ path: join(folder.path, 'store.db') })
  stores.push(store)
  return store
}

async function insertKeys(store: Store, count: number): Promise<KmsKey[]> {
  const keys = Array.from({ length: count }, () => makeKey())
  await store.transaction(async tx => {
    for (const key of keys) await tx.insertKey(key)
  })
  return keys
}

/** A request, by its id. */
const by = (requestId: string) => ({ requestId, eventId: `event of ${requestId}` })

const stored = (store: Store, key: KmsKey) => store.reader.findKeyUse(key, key.id)

describe('uses of keys', () => {
  it('are told at once, and stored when they are written', async () => {
    const store = await open()
    const [key] = (await insertKeys(store, 1)) as [KmsKey]
    const uses = new KeyUses(store)
    expect(await uses.last(key)).toBeUndefined()
    uses.note(key, 'Encrypt', 10, by('a'))
    uses.note(key, 'Decrypt', 20, by('b'))
    const expected = { operation: 'Decrypt', atMs: 20, ...by('b') }
    expect(await uses.last(key)).toMatchObject(expected)
    expect(await stored(store, key)).toBeUndefined()
    const writing = uses.write()
    expect(await uses.last(key)).toMatchObject(expected)
    await writing
    expect(await stored(store, key)).toMatchObject(expected)
    expect(await new KeyUses(store).last(key)).toMatchObject(expected)
  })

  it('of two daemons are the newest of both', async () => {
    const store = await open()
    const [key] = (await insertKeys(store, 1)) as [KmsKey]
    const here = new KeyUses(store)
    const there = new KeyUses(await open())
    there.note(key, 'Decrypt', 30, by('there'))
    here.note(key, 'Encrypt', 20, by('here'))
    expect(await here.last(key)).toMatchObject({ requestId: 'here' })
    await there.write()
    expect(await here.last(key)).toMatchObject({ requestId: 'there' })
    await here.write()
    expect(await stored(store, key)).toMatchObject({ atMs: 30, operation: 'Decrypt', ...by('there') })
  })

  it('are written in batches, all of them', async () => {
    const store = await open()
    const keys = await insertKeys(store, 600)
    const uses = new KeyUses(store)
    for (const [at, key] of keys.entries()) uses.note(key, 'Sign', at, by(`request-${at}`))
    await uses.write()
    for (const [at, key] of keys.entries()) expect(await stored(store, key)).toMatchObject({ atMs: at })
  })

  it('are written before more are remembered than is allowed', async () => {
    const store = await open()
    const keys = await insertKeys(store, 7)
    const uses = new KeyUses(store, 3)
    for (const key of keys.slice(0, 4)) uses.note(key, 'Sign', 1, by('x'))
    // While the first three are being written, two more fit; then there is no room before the store has taken some.
    for (const key of keys.slice(4)) uses.note(key, 'Sign', 2, by('y'))
    await uses.write()
    const found = await Promise.all(keys.map(key => uses.last(key)))
    expect(found.map(use => use?.atMs)).toEqual([1, 1, 1, 1, 2, 2, undefined])
  })

  it('that could not be written are written the next time, unless there are newer ones', async () => {
    const store = await open()
    const [first, second] = (await insertKeys(store, 2)) as [KmsKey, KmsKey]
    let failing = true
    const transaction: Store['transaction'] = work =>
      failing ? Promise.reject(new Error('the disk is full')) : store.transaction(work)
    const uses = new KeyUses({ ...store, reader: store.reader, transaction })
    uses.note(first, 'Sign', 10, by('old'))
    uses.note(second, 'Sign', 10, by('old'))
    const writing = uses.write()
    uses.note(second, 'Verify', 20, by('new'))
    await expect(writing).rejects.toThrow('the disk is full')
    expect(await uses.last(first)).toMatchObject({ requestId: 'old' })
    failing = false
    await uses.write()
    expect(await stored(store, first)).toMatchObject({ requestId: 'old' })
    expect(await stored(store, second)).toMatchObject({ requestId: 'new' })
  })
})
