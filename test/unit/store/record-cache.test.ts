import { describe, expect, it } from '@jest/globals'
import { RecordCache } from '../../../src/store/record-cache.ts'

interface Version {
  readonly version: number
}

/** A read that ends when the test says so. */
function pendingRead() {
  const { promise, resolve, reject } = Promise.withResolvers<Version | undefined>()
  return { read: () => promise, resolve, reject }
}

const CHANGES: [string, (cache: RecordCache<Version>) => void][] = [
  ['forget', cache => cache.forget(['another name'])],
  ['forgetWhere', cache => cache.forgetWhere(() => false)],
  ['forgetAll', cache => cache.forgetAll()],
]

describe('RecordCache', () => {
  it('shares one read among those who ask meanwhile', async () => {
    const cache = new RecordCache<Version>(10)
    const { read, resolve } = pendingRead()
    const first = cache.load('a', read)
    const second = cache.load('a', () => Promise.reject(new Error('a second read')))
    resolve({ version: 1 })
    expect(await second).toBe(await first)
    expect(cache.held('a')).toEqual({ version: 1 })
  })

  it('holds no more than its capacity, the least recently used going first', async () => {
    const cache = new RecordCache<Version>(2)
    await cache.load('a', async () => ({ version: 1 }))
    await cache.load('b', async () => ({ version: 1 }))
    cache.held('a')
    await cache.load('c', async () => ({ version: 1 }))
    expect(cache.size).toBe(2)
    expect(cache.held('b')).toBeUndefined()
  })

  it('remembers neither failures nor absences', async () => {
    const cache = new RecordCache<Version>(2)
    await expect(cache.load('a', () => Promise.reject(new Error('the disk')))).rejects.toThrow('the disk')
    expect(await cache.load('a', async () => undefined)).toBeUndefined()
    expect(await cache.load('a', async () => ({ version: 1 }))).toEqual({ version: 1 })
  })

  it.each(CHANGES)('keeps nothing that was read before %s and arrived after it', async (_, change) => {
    const cache = new RecordCache<Version>(10)
    const stale = pendingRead()
    const before = cache.load('a', stale.read)
    change(cache)
    const fresh = pendingRead()
    const after = cache.load('a', fresh.read)
    fresh.resolve({ version: 2 })
    expect(await after).toEqual({ version: 2 })
    stale.resolve({ version: 1 })
    expect(await before).toEqual({ version: 1 })
    expect(cache.held('a')).toEqual({ version: 2 })
  })

  it('forgets by name and by content', async () => {
    const cache = new RecordCache<Version>(10)
    for (const version of [1, 2, 3]) await cache.load(`${version}`, async () => ({ version }))
    cache.forget(['1', 'unknown'])
    cache.forgetWhere(record => record.version === 2)
    expect([cache.held('1'), cache.held('2'), cache.held('3')]).toEqual([undefined, undefined, { version: 3 }])
    cache.forgetAll()
    expect(cache.size).toBe(0)
  })
})
