import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openSqlite } from '../../../src/store/dialects/sqlite.ts'
import { StoreLocked, StoreUnusable } from '../../../src/store/faults.ts'
import { openStore } from '../../../src/store/open-store.ts'
import { makeKey, makeTemporaryFolder, SCOPE } from './records.ts'

describe('the SQLite file', () => {
  let folder: ReturnType<typeof makeTemporaryFolder>
  let path: string

  beforeEach(() => {
    folder = makeTemporaryFolder()
    path = join(folder.path, 'store.db')
  })

  afterEach(() => folder.remove())

  it('and its WAL are for their owner only, whatever the umask', async () => {
    const umask = process.umask(0)
    try {
      const store = await openStore({ path })
      await store.transaction(tx => tx.insertKey(makeKey()))
      const modes = readdirSync(folder.path).map(file => [file, statSync(join(folder.path, file)).mode & 0o777])
      expect(Object.fromEntries(modes)).toEqual({ 'store.db': 0o600, 'store.db-shm': 0o600, 'store.db-wal': 0o600 })
      await store.close()
    } finally {
      process.umask(umask)
    }
    expect(readdirSync(folder.path)).toEqual(['store.db'])
  })

  it('is refused when it is no database', async () => {
    writeFileSync(path, 'this is a text that somebody wrote, and it is longer than a header of SQLite. '.repeat(20))
    await expect(openStore({ path })).rejects.toMatchObject({
      name: 'StoreUnusable',
      message: `${path} is not a key store`,
    })
  })

  it('is refused, and left as it is, when another program made it', async () => {
    const foreign = new DatabaseSync(path)
    foreign.exec('CREATE TABLE keys (id)')
    foreign.close()
    await expect(openStore({ path })).rejects.toThrow(StoreUnusable)
    const again = new DatabaseSync(path)
    expect(again.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'delete' })
    again.close()
  })

  it('is refused when a newer Strongroom has written it', async () => {
    await (await openStore({ path })).close()
    const newer = new DatabaseSync(path)
    newer.exec(`INSERT INTO migrations VALUES ('9999-from-the-future', '2040-01-01T00:00:00.000Z')`)
    newer.close()
    await expect(openStore({ path })).rejects.toThrow(
      new StoreUnusable('the key store was written by a newer Strongroom: this one does not know 9999-from-the-future'),
    )
  })

  it('is refused where its folder does not exist', async () => {
    await expect(openStore({ path: join(folder.path, 'absent', 'store.db') })).rejects.toThrow('ENOENT')
  })

  it('is made once by many who open it at the same time', async () => {
    const stores = await Promise.all(Array.from({ length: 5 }, () => openStore({ path })))
    const key = makeKey()
    await stores[0]!.transaction(tx => tx.insertKey(key))
    for (const store of stores) expect(await store.reader.findKey(SCOPE, key.id)).toEqual(key)
    for (const store of stores) await store.close()
  })

  it('asserts that a key has one CURRENT material when it is read', async () => {
    const store = await openStore({ path })
    const key = makeKey()
    await store.transaction(tx => tx.insertKey(key))
    const meddler = new DatabaseSync(path)
    meddler.exec(`UPDATE materials SET state = 'NON_CURRENT'`)
    await expect(store.reader.findKey(SCOPE, key.id)).rejects.toThrow('must have one CURRENT material')
    meddler.exec('DELETE FROM materials')
    await expect(store.reader.findKey(SCOPE, key.id)).rejects.toThrow('must have one CURRENT material')
    meddler.close()
    await store.close()
  })

  it('gives every connection the settings that deletion and durability depend on', async () => {
    const { writer, close } = await openSqlite({ path, lockWaitMs: 1_000 })
    const read = async (pragma: string) => {
      const { rows } = await writer.executeQuery<Record<string, unknown>>({
        ...{ sql: `PRAGMA ${pragma}`, parameters: [], query: { kind: 'RawNode', sqlFragments: [], parameters: [] } },
        queryId: { queryId: pragma },
      })
      return Object.values(rows[0]!)[0]
    }
    expect(await read('journal_mode')).toBe('wal')
    expect(await read('synchronous')).toBe(2)
    expect(await read('foreign_keys')).toBe(1)
    expect(await read('secure_delete')).toBe(1)
    expect(await read('temp_store')).toBe(2)
    await close()
  })

  it('keeps the event loop turning while another process holds the lock, and says so when it waits too long', async () => {
    const store = await openStore({ path, lockWaitMs: 500 })
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    let turns = 0
    const counting = setInterval(() => turns++, 5)
    await expect(store.transaction(async () => 'done')).rejects.toBeInstanceOf(StoreLocked)
    clearInterval(counting)
    // A busy machine may give it few turns; a loop that waits for the lock gives it one at the most.
    expect(turns).toBeGreaterThan(2)
    other.exec('ROLLBACK')
    expect(await store.transaction(async () => 'done')).toBe('done')

    other.exec('BEGIN; SELECT * FROM keys')
    await store.transaction(tx => tx.insertKey(makeKey()))
    await expect(store.scrub()).rejects.toThrow('removed rows are still in it')
    other.exec('COMMIT')
    await store.scrub()
    other.close()
    await store.close()
  })

  it('waits on close for the transaction that runs, and answers nothing afterwards', async () => {
    const store = await openStore({ path })
    const key = makeKey()
    const running = store.transaction(async tx => {
      await new Promise(resolve => setTimeout(resolve, 50))
      await tx.insertKey(key)
    })
    await new Promise(resolve => setTimeout(resolve, 10))
    await store.close()
    await running
    await expect(store.reader.findKey(SCOPE, key.id)).rejects.toThrow()
    await expect(store.transaction(async () => 'done')).rejects.toThrow()
    await store.close()
    const again = await openStore({ path })
    expect(await again.reader.findKey(SCOPE, key.id)).toEqual(key)
    await again.close()
  })
})
