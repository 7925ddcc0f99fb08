/** Stores of processes that tell each other of their changes, and one that tells nobody. */
import { renameSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import type { Database } from '../../../src/store/dialects/database.ts'
import { openSqlite } from '../../../src/store/dialects/sqlite.ts'
import { UntoldChanges } from '../../../src/store/foreign-changes.ts'
import { migrate } from '../../../src/store/migrations/migrate.ts'
import { openStore } from '../../../src/store/open-store.ts'
import { countChange } from '../../../src/store/sql/change-count.ts'
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

describe('the looks of a store among siblings', () => {
  const LOOK_MS = 250

  let database: Database
  let other: Database
  let changes: UntoldChanges
  let forgotten: number
  let confirmed: number[]
  let failed: unknown[]

  beforeEach(async () => {
    jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'setTimeout', 'queueMicrotask'] })
    database = await openSqlite({ path, lockWaitMs: 1_000 })
    await migrate(database)
    other = await openSqlite({ path, lockWaitMs: 1_000 })
    forgotten = 0
    confirmed = []
    failed = []
    const view = {
      confirmed: (atMs: number) => void confirmed.push(atMs),
      failed: (error: unknown) => void failed.push(error),
    }
    const onChange = () => {
      forgotten += 1
    }
    changes = await UntoldChanges.watch({ database, view, onChange })
    await look()
    confirmed = []
  })

  afterEach(async () => {
    changes.stop()
    jest.useRealTimers()
    await database.close()
    await other.close()
  })

  /** Lets the timer come once. Returns when that was, on the clock of the view. */
  const look = async () => {
    const [ended, atMs] = [confirmed.length + failed.length, performance.now() + LOOK_MS]
    jest.advanceTimersByTime(LOOK_MS)
    // A look that finds a change that nobody told of ends without a word.
    for (let turn = 0; turn < 50 && confirmed.length + failed.length === ended; turn += 1)
      await new Promise(resolve => setImmediate(resolve))
    return atMs
  }
  const commit = () => other.writer.transaction().execute(countChange)

  it('find the view current while nothing is committed, and when all that is was told', async () => {
    const quiet = await look()
    changes.told(await commit())
    expect(confirmed).toEqual([quiet])
    expect([await look(), await look()]).toEqual(confirmed.slice(1))
    expect(forgotten).toBe(0)
  })

  it('find it no younger while a change is not known, until it is told of', async () => {
    const change = await commit()
    const found = await look()
    expect(confirmed).toEqual([])
    changes.told(change)
    // Another one is missing by then: as far as the first look has seen, all is known.
    await commit()
    await look()
    expect(confirmed).toEqual([found])
    expect(forgotten).toBe(0)
  })

  it('have memory forget what nobody told of, and find the view current with that', async () => {
    await commit()
    await look()
    const second = await look()
    expect({ forgotten, confirmed }).toEqual({ forgotten: 1, confirmed: [second] })
  })

  it('have memory forget when somebody cannot wait for them, but not where nothing is to be told of', async () => {
    changes.look()
    expect({ forgotten, confirmed: confirmed.length }).toEqual({ forgotten: 0, confirmed: 1 })
    await commit()
    changes.look()
    expect({ forgotten, confirmed: confirmed.length }).toEqual({ forgotten: 1, confirmed: 2 })
    await look()
    changes.look()
    expect({ forgotten, confirmed: confirmed.length }).toEqual({ forgotten: 2, confirmed: 3 })
  })

  it('say why they fail', async () => {
    renameSync(path, `${path}.away`)
    await look()
    changes.look()
    renameSync(`${path}.away`, path)
    expect(failed.map(error => (error as Error).message)).toEqual([`${path} is gone`, `${path} is gone`])
    expect({ forgotten, confirmed }).toEqual({ forgotten: 2, confirmed: [] })
  })
})
