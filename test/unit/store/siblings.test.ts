/** Stores of processes that tell each other of their changes, and one that tells nobody. */
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openStore } from '../../../src/store/open-store.ts'
import type { Store, StoreChange } from '../../../src/store/store.ts'
import { waitUntil } from '../../support/processes.ts'
import { makeKey, makeTemporaryFolder, SCOPE } from './records.ts'

const PATIENCE_MS = 20_000

let folder: ReturnType<typeof makeTemporaryFolder>
let path: string
let stores: Store[]
let told: StoreChange[]

beforeEach(() => {
  folder = makeTemporaryFolder()
  path = join(folder.path, 'store.db')
  stores = []
  told = []
})

afterEach(async () => {
  for (const store of stores) await store.close()
  folder.remove()
})

/** Two stores, each of which tells the other. */
async function openSiblings(): Promise<[Store, Store]> {
  for (const at of [0, 1]) {
    const changed = async (change: StoreChange) => {
      told.push(change)
      stores[1 - at]?.heed(structuredClone(change))
    }
    stores.push(await openStore({ path, siblings: { changed } }))
  }
  return stores as [Store, Store]
}

describe('stores of sibling processes', () => {
  it('see each other’s changes when these are answered', async () => {
    const [one, other] = await openSiblings()
    const key = makeKey()
    await one.transaction(tx => tx.insertKey(key))
    expect((await other.hot.key(SCOPE, key.id))?.state).toBe('Enabled')
    await one.transaction(tx => tx.updateKey({ ...key, state: 'Disabled', generation: 2 }))
    expect((await other.hot.key(SCOPE, key.id))?.state).toBe('Disabled')
    await other.transaction(tx => tx.updateKey({ ...key, state: 'Enabled', generation: 3 }))
    expect((await one.hot.key(SCOPE, key.id))?.state).toBe('Enabled')
  })

  it('number their changes without a gap, and those that failed not at all', async () => {
    const [one, other] = await openSiblings()
    await one.transaction(tx => tx.insertKey(makeKey()))
    await other.transaction(tx => tx.insertKey(makeKey()))
    await expect(one.transaction(() => Promise.reject(new Error('thought better of it')))).rejects.toThrow('better')
    await one.transaction(tx => tx.insertKey(makeKey()))
    const [first = 0] = told.map(({ number }) => number!)
    expect(told.map(({ number }) => number)).toEqual([first, first + 1, undefined, first + 2])
  })

  it('keep what neither of them has changed, and see what somebody else has', async () => {
    const [one, other] = await openSiblings()
    const [kept, changed] = [makeKey(), makeKey()]
    await one.transaction(tx => tx.insertKey(kept))
    await one.transaction(tx => tx.insertKey(changed))
    await other.hot.key(SCOPE, kept.id)
    const held = () => !(other.hot.key(SCOPE, kept.id) instanceof Promise)
    // Told changes, and the log's own, are no reason to forget: several looks go by.
    for (let written = 0; written < 5; written += 1) {
      await one.transaction(tx => tx.insertKey(makeKey()))
      await new Promise(resolve => setTimeout(resolve, 300))
      expect(held()).toBe(true)
    }
    const stranger = await openStore({ path })
    stores.push(stranger)
    await other.hot.key(SCOPE, changed.id)
    await stranger.transaction(tx => tx.updateKey({ ...changed, state: 'Disabled', generation: 2 }))
    await waitUntil(async () => (await other.hot.key(SCOPE, changed.id))?.state === 'Disabled', PATIENCE_MS)
    await waitUntil(async () => (await one.hot.key(SCOPE, changed.id))?.state === 'Disabled', PATIENCE_MS)
  })
})
