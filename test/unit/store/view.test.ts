/**
 * The bound on how old the view of a store may become (test 22 of security.md 6), with a clock that the test moves and looks that
 * come only when somebody asks for them.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { StoreStale } from '../../../src/store/faults.ts'
import { openStore } from '../../../src/store/open-store.ts'
import type { Store } from '../../../src/store/store.ts'
import { VIEW_MAX_AGE_MS, View } from '../../../src/store/view.ts'
import { makeKey, makeTemporaryFolder, SCOPE } from './records.ts'

const TOO_LONG_MS = VIEW_MAX_AGE_MS + 1
/** Longer than a view that could not be renewed rests before it is looked at again. */
const LATER_MS = 1_000

let nowMs: number
let told: (string | undefined)[]
const onStale = (reason: string | undefined) => void told.push(reason)

beforeEach(() => {
  // Whole: sums of fractions are not exact.
  nowMs = Math.ceil(performance.now())
  told = []
  jest.spyOn(performance, 'now').mockImplementation(() => nowMs)
})

afterEach(() => {
  jest.restoreAllMocks()
})

describe('a view', () => {
  let failure: Error | undefined
  let looks: number
  let view: View

  beforeEach(() => {
    failure = undefined
    looks = 0
    view = new View({
      look() {
        looks += 1
        if (failure === undefined) view.confirmed(nowMs)
        else view.failed(failure)
      },
      onStale,
    })
  })

  it('is asked for nothing while it is young', () => {
    nowMs += VIEW_MAX_AGE_MS
    view.requireCurrent()
    expect(looks).toBe(0)
    expect(view.ageMs).toBe(VIEW_MAX_AGE_MS)
  })

  it('is renewed by one look when nobody looked for too long, and nobody is alarmed', () => {
    nowMs += TOO_LONG_MS
    view.requireCurrent()
    view.requireCurrent()
    expect(looks).toBe(1)
    expect(view.ageMs).toBe(0)
    expect(told).toEqual([])
  })

  it('answers nobody when a look does not renew it, says why once, and goes on with the next that does', () => {
    failure = new Error('disk I/O error')
    view.failed(failure)
    view.requireCurrent()
    expect(told).toEqual([])
    nowMs += TOO_LONG_MS
    expect(() => view.requireCurrent()).toThrow(StoreStale)
    expect(view.obstacle).toBe('it cannot be seen whether others have changed the key store: disk I/O error')
    nowMs += LATER_MS
    expect(() => view.requireCurrent()).toThrow('disk I/O error')
    expect(told).toEqual(['disk I/O error'])
    expect(view.ageMs).toBe(TOO_LONG_MS + LATER_MS)
    failure = undefined
    nowMs += LATER_MS
    expect(view.obstacle).toBeUndefined()
    expect(told).toEqual(['disk I/O error', undefined])
  })

  it('has few of those who are refused look for themselves', () => {
    failure = new Error('disk I/O error')
    nowMs += TOO_LONG_MS
    for (let asked = 0; asked < 9; asked += 1) expect(() => view.requireCurrent()).toThrow(StoreStale)
    expect(looks).toBe(1)
    nowMs += LATER_MS
    expect(() => view.requireCurrent()).toThrow(StoreStale)
    expect(looks).toBe(2)
  })

  it('is no younger than the look that was made last, in whatever order looks end', () => {
    nowMs += TOO_LONG_MS
    view.confirmed(nowMs)
    view.confirmed(nowMs - TOO_LONG_MS)
    expect(view.ageMs).toBe(0)
  })
})

describe.each([
  ['alone', undefined],
  ['among siblings', { changed: async () => {} }],
])('a store %s whose looks are held up', (_, siblings) => {
  let folder: ReturnType<typeof makeTemporaryFolder>
  let path: string
  let store: Store
  const key = makeKey()

  beforeEach(async () => {
    folder = makeTemporaryFolder()
    path = join(folder.path, 'store.db')
    // No timer of the store comes, as in a process that is stopped.
    jest.useFakeTimers({ doNotFake: ['performance', 'nextTick', 'setImmediate', 'setTimeout', 'queueMicrotask'] })
    store = await openStore({ path, siblings, onStale })
    await store.transaction(tx => tx.insertKey(key))
    await store.hot.key(SCOPE, key.id)
  })

  afterEach(async () => {
    await store.close()
    jest.useRealTimers()
    folder.remove()
  })

  it('answers nobody from what somebody else has changed once the bound is passed', async () => {
    const other = await openStore({ path })
    await other.transaction(tx => tx.updateKey({ ...key, state: 'Disabled', generation: 2 }))
    nowMs += VIEW_MAX_AGE_MS
    store.view.requireCurrent()
    expect(store.hot.key(SCOPE, key.id)).toMatchObject({ state: 'Enabled' })
    nowMs += 1
    store.view.requireCurrent()
    expect(await store.hot.key(SCOPE, key.id)).toMatchObject({ state: 'Disabled' })
    expect(store.view.ageMs).toBe(0)
    await other.close()
  })

  it('answers nobody while its file is not where others find it', async () => {
    renameSync(path, `${path}.away`)
    store.view.requireCurrent()
    nowMs += TOO_LONG_MS
    expect(() => store.view.requireCurrent()).toThrow(`${path} is gone`)
    writeFileSync(path, '')
    nowMs += LATER_MS
    expect(() => store.view.requireCurrent()).toThrow(`${path} is another file than was opened`)
    renameSync(`${path}.away`, path)
    nowMs += LATER_MS
    store.view.requireCurrent()
    expect(await store.hot.key(SCOPE, key.id)).toMatchObject({ state: 'Enabled' })
    expect(told).toEqual([`${path} is gone`, undefined])
  })
})
