/** Blocks of the audit log in the key store: added on a thread, packed, and none of another process's business. */
import { randomBytes } from 'node:crypto'
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openSqlite } from '../../../src/store/dialects/sqlite.ts'
import { ForeignCommits } from '../../../src/store/dialects/sqlite-blocks.ts'
import { StoreLocked } from '../../../src/store/faults.ts'
import { migrate } from '../../../src/store/migrations/migrate.ts'
import { openStore } from '../../../src/store/open-store.ts'
import type { Store } from '../../../src/store/store.ts'
import type { AuditBlock, AuditBlockPlace } from '../../../src/store/stored-audit.ts'
import { makeTemporaryFolder } from './records.ts'

const CHAIN = 'ab'.repeat(16)

/** Ten lines of an hour each, which do not compress. */
function makeBlock(hour: number, chain = CHAIN): AuditBlock {
  const lines = Array.from({ length: 10 }, () => `{"seq":1,"noise":"${randomBytes(500).toString('base64')}"}\n`)
  const [firstSeq, lastSeq] = [hour * 10 + 1, hour * 10 + 10]
  return { chain, firstSeq, lastSeq, firstAtMs: hour, lastAtMs: hour, lines: Buffer.from(lines.join('')) }
}

async function all<T>(found: AsyncIterable<T>): Promise<T[]> {
  return Array.fromAsync(found)
}

describe('blocks of the audit log', () => {
  let folder: ReturnType<typeof makeTemporaryFolder>
  let path: string
  let store: Store

  beforeEach(async () => {
    folder = makeTemporaryFolder()
    path = join(folder.path, 'store.db')
    store = await openStore({ path, lockWaitMs: 50 })
  })

  afterEach(async () => {
    await store.close()
    folder.remove()
  })

  const meddle = (statement: string) => {
    const meddler = new DatabaseSync(path)
    meddler.exec(statement)
    meddler.close()
  }

  it('come back as they were, in their order and backwards, those of a thread asked at once too', async () => {
    const blocks = Array.from({ length: 20 }, (_, hour) => makeBlock(hour))
    await Promise.all(blocks.map(block => store.audit.addBlock(block, [])))
    expect(await all(store.audit.blocks())).toMatchObject(blocks)
    expect(await all(store.audit.blocksBackwards({}))).toMatchObject(blocks.toReversed())
    expect(await all(store.audit.blocksBackwards({ fromMs: 3, toMs: 4 }))).toContainEqual(
      expect.objectContaining({ firstSeq: 31, lines: blocks[3]!.lines }),
    )
    expect(await store.audit.lastBlock(CHAIN)).toMatchObject(blocks.at(-1)!)
  })

  it('come backwards from any place on, however many there are', async () => {
    await store.audit.addBlock(makeBlock(0), [])
    // Two of each millisecond, in two chains; every seventh begins long before.
    meddle(`
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
      INSERT INTO audit_blocks (chain, number, first_seq, last_seq, first_at_ms, last_at_ms, lines_bytes, lines, encoding)
      SELECT chain.id, i, i, i, iif(i % 7 = 0, 0, 100000 + i), 100000 + i, lines_bytes, lines, encoding
      FROM n, audit_blocks, (SELECT '${'1'.repeat(32)}' AS id UNION SELECT '${'2'.repeat(32)}') AS chain`)
    const backwards = await all(store.audit.blocksBackwards({}))
    expect(backwards).toHaveLength(801)
    const namesOf = (blocks: readonly (AuditBlock & AuditBlockPlace)[]) =>
      blocks.map(({ lastAtMs, chain, number }) => `${lastAtMs} ${chain} ${String(number).padStart(4, '0')}`)
    const names = namesOf(backwards)
    expect(names.slice(0, -1)).toEqual(names.slice(0, -1).toSorted().reverse())
    for (const at of [255, 256, 511])
      expect(namesOf(await all(store.audit.blocksBackwards({}, backwards[at])))).toEqual(names.slice(at + 1))
    // Written a minute after their events at most.
    const old = await all(store.audit.blocksBackwards({ fromMs: 100_000, toMs: 40_010 }))
    expect(namesOf(old)).toEqual(
      namesOf(backwards.slice(0, -1).filter(({ number }) => number % 7 === 0 || number <= 10)),
    )
  })

  it('take a tenth of their size, and plain ones are read too', async () => {
    const lines = Buffer.from(
      '{"seq":1,"event":{"eventName":"GenerateDataKey","awsRegion":"on-prem-1"}}\n'.repeat(10_000),
    )
    await store.audit.addBlock({ ...makeBlock(0), lines }, [])
    const meddler = new DatabaseSync(path)
    expect(meddler.prepare('SELECT lines_bytes < 74000 AS small FROM audit_blocks').get()).toEqual({ small: 1 })
    meddler.prepare(`UPDATE audit_blocks SET encoding = 'text', lines = ?`).run(Buffer.from('plain\n'))
    meddler.close()
    expect((await store.audit.lastBlock(CHAIN))?.lines.toString()).toBe('plain\n')
  })

  it.each([
    [
      'that were changed',
      `UPDATE audit_blocks SET lines = cast(substr(lines, 1, 99) || x'00' || substr(lines, 101) AS blob)`,
    ],
    ['that were made text', `UPDATE audit_blocks SET lines = 'text'`],
    ['that were cut', 'UPDATE audit_blocks SET lines = substr(lines, 1, 100)'],
    ['that are none', `UPDATE audit_blocks SET lines = x'00'`],
  ])('%s come as something else, and keep nobody from the others', async (_, statement) => {
    const [first, second] = [makeBlock(0), makeBlock(1)]
    await store.audit.addBlock(first, [])
    await store.audit.addBlock(second, [])
    meddle(`${statement} WHERE number = 1`)
    const [changed, whole] = await all(store.audit.blocks())
    expect(changed?.lines.equals(first.lines)).toBe(false)
    expect(whole).toMatchObject(second)
  })

  it('that are too old go, and the oldest of those that are too many', async () => {
    for (let hour = 0; hour < 40; hour += 1) await store.audit.addBlock(makeBlock(hour), [])
    expect(await store.audit.expire(20, 1e9)).toBe(20)
    const left = await all(store.audit.blocks())
    expect(left.map(({ firstAtMs }) => firstAtMs)).toEqual(Array.from({ length: 20 }, (_, at) => at + 20))
    const packed = new DatabaseSync(path, { readOnly: true })
    const { bytes } = packed.prepare('SELECT max(lines_bytes) AS bytes FROM audit_blocks').get() as { bytes: number }
    packed.close()
    expect(await store.audit.expire(0, bytes * 5)).toBeGreaterThanOrEqual(15)
    expect((await all(store.audit.blocks())).at(-1)?.firstAtMs).toBe(39)
    expect(await store.audit.expire(0, bytes * 5)).toBe(0)
  })

  it('wait for another process no longer than others do, and go in afterwards', async () => {
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    await expect(store.audit.addBlock(makeBlock(0), [])).rejects.toThrow(StoreLocked)
    other.exec('COMMIT')
    other.close()
    await store.audit.addBlock(makeBlock(0), [])
    expect(await all(store.audit.blocks())).toHaveLength(1)
  })

  it('make no file where the store is gone, and go in when it is there again', async () => {
    renameSync(path, `${path}.away`)
    await expect(store.audit.addBlock(makeBlock(0), [])).rejects.toThrow('unable to open database file')
    expect(existsSync(path)).toBe(false)
    renameSync(`${path}.away`, path)
    await store.audit.addBlock(makeBlock(0), [])
    expect(await all(store.audit.blocks())).toHaveLength(1)
  })

  it('are no commits of another process, which are still seen', async () => {
    const database = await openSqlite({ path, lockWaitMs: 1_000 })
    await migrate(database)
    const before = database.foreignCommits()
    for (let hour = 0; hour < 5; hour += 1) await database.blocks.add(makeBlock(hour), [])
    expect(database.foreignCommits()).toBe(before)
    const adding = database.blocks.add(makeBlock(6), [])
    meddle('PRAGMA busy_timeout = 5000; DELETE FROM audit_positions')
    await store.audit.setPosition('syslog', { file: 'a', offset: 1 })
    await adding
    expect(database.foreignCommits()).not.toBe(before)
    await database.close()
  })
})

describe('a commit of another process', () => {
  /** A database as one connection sees it: the number changes with each commit that is not its own. */
  const world = () => {
    const seen = { ours: 0, theirs: 0 }
    const foreign = new ForeignCommits(() => seen.ours)
    const elsewhere = () => {
      seen.ours += 1
      seen.theirs += 1
    }
    return { seen, foreign, elsewhere }
  }

  it.each(['before the first look', 'before the commit', 'after the commit', 'before the last look'])(
    'is seen when it comes %s',
    async moment => {
      const { seen, foreign, elsewhere } = world()
      let looks = 0
      const theirs = async () => {
        looks += 1
        if (looks === 1 && moment === 'before the first look') elsewhere()
        if (looks === 2 && moment === 'before the last look') elsewhere()
        return seen.theirs
      }
      const before = foreign.count()
      await foreign.exceptOwn(theirs, async () => {
        if (moment === 'before the commit') elsewhere()
        seen.ours += 1
        if (moment === 'after the commit') elsewhere()
      })
      expect(foreign.count()).not.toBe(before)
    },
  )

  it('is not seen in one of this process, whenever somebody looks', async () => {
    const { seen, foreign } = world()
    const before = foreign.count()
    const looked: (number | undefined)[] = []
    await foreign.exceptOwn(
      async () => {
        looked.push(foreign.count())
        return seen.theirs
      },
      async () => {
        seen.ours += 1
        looked.push(foreign.count())
      },
    )
    looked.push(foreign.count())
    expect(looked).toEqual([before, undefined, undefined, before])
  })
})
