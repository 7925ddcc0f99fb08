/** The audit log's files: batches, rotation, what a crash leaves, and disks that take no more. */

import { randomUUID } from 'node:crypto'
import { appendFileSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { listLogFiles } from '../../../src/audit/log-files.ts'
import { AuditUnavailable } from '../../../src/audit/unavailable.ts'
import { verifyBlocks, verifyFiles } from '../../../src/audit/verify-files.ts'
import { auditPublicKey, MemoryStorage, startLog } from '../../support/audit-log.ts'
import { makeFolder } from '../../support/tokens.ts'

const KEYS = [auditPublicKey]
let folder: ReturnType<typeof makeFolder>
let logs: string

beforeEach(() => {
  folder = makeFolder()
  logs = join(folder.path, 'audit')
})

afterEach(() => folder.remove())

const verify = async () => verifyFiles(await listLogFiles(logs), KEYS)

describe('events', () => {
  it('of one turn are written together, in their order, before anybody hears of it', async () => {
    const { log, files, stop } = await startLog({ folder: logs })
    const append = jest.spyOn(files, 'append')
    const promises = Array.from({ length: 50 }, (_, at) => log.append(`{"at":${at}}`))
    expect(new Set(promises).size).toBe(1)
    await Promise.all(promises)
    expect(append).toHaveBeenCalledTimes(1)
    const lines = readFileSync(files.path!, 'utf8').split('\n')
    expect(lines.filter(line => line.includes('"at"')).map(line => /"at":(\d+)/.exec(line)?.[1])).toEqual(
      Array.from({ length: 50 }, (_, at) => String(at)),
    )
    await stop()
    expect(await verify()).toMatchObject({ findings: [], uncovered: 0 })
  })

  it('lie in files of mode 0600, in a folder of mode 0700', async () => {
    const { files, stop } = await startLog({ folder: logs })
    expect(statSync(files.path!).mode & 0o777).toBe(0o600)
    expect(statSync(logs).mode & 0o777).toBe(0o700)
    await stop()
  })

  it('are taken while others wait for theirs', async () => {
    const { log, stop } = await startLog({ folder: logs })
    for (let round = 0; round < 20; round += 1) {
      await log.append('{"round":1}')
      await Promise.all([log.append('{"round":2}'), log.append('{"round":3}').then(() => log.append('{"round":4}'))])
    }
    expect(log.head.seq).toBe(81)
    await stop()
  })
})

describe('a chain that is another process’ to close', () => {
  it('gets no event any more', async () => {
    let owned = true
    const requireOwner = () => {
      if (!owned) throw new Error('gone')
    }
    const { log, files, record, stop } = await startLog({ folder: logs, parts: { requireOwner } })
    await record(2)
    const before = readFileSync(files.path!, 'utf8')
    owned = false
    await expect(record(1)).rejects.toThrow(AuditUnavailable)
    expect(log.head.seq).toBe(3)
    expect(readFileSync(files.path!, 'utf8')).toBe(before)
    await stop()
  })
})

describe('lines for the key store', () => {
  it('are cut into blocks of a megabyte at most, until none is left', async () => {
    const storage = new MemoryStorage()
    const { log, notary, stop } = await startLog({ folder: logs, storage, maxBytes: 1e9 })
    const events = Array.from({ length: 30 }, (_, at) => `{"at":${at},"text":"${'x'.repeat(100_000)}"}`)
    // One batch alone is more than a block, and many are together.
    await Promise.all(events.map(event => log.append(event)))
    for (const event of events) await log.append(event)
    await notary.run()
    expect(log.unstoredBytes).toBe(0)
    expect(storage.stored.length).toBeGreaterThanOrEqual(6)
    expect(Math.max(...storage.stored.map(({ lines }) => lines.length))).toBeLessThanOrEqual(1_048_576)
    expect(await verifyBlocks(storage.blocks(), KEYS)).toMatchObject({ findings: [], events: 61 })
    await stop()
  })

  it('are cut so after a crash too', async () => {
    const storage = new MemoryStorage()
    const crashed = await startLog({ folder: logs, storage, maxBytes: 1e9 })
    for (let at = 0; at < 30; at += 1) await crashed.log.append(`{"at":${at},"text":"${'x'.repeat(100_000)}"}`)
    const { stop } = await startLog({ folder: logs, storage })
    expect(storage.stored.length).toBeGreaterThanOrEqual(3)
    await stop()
    expect(await verifyBlocks(storage.blocks(), KEYS)).toMatchObject({ findings: [], events: 32 })
    await crashed.log.close()
  })

  it('stay for the next time when the store refuses one', async () => {
    const storage = new MemoryStorage()
    const { log, notary, record, stop } = await startLog({ folder: logs, storage })
    await record(3)
    jest.spyOn(storage, 'addBlock').mockRejectedValueOnce(new Error('the key store is locked'))
    await notary.run()
    expect(storage.stored).toEqual([])
    expect(log.unstoredBytes).toBeGreaterThan(0)
    await notary.run()
    expect(log.unstoredBytes).toBe(0)
    await stop()
    expect(await verifyBlocks(storage.blocks(), KEYS)).toMatchObject({ findings: [], events: 4 })
  })
})

describe('after a crash', () => {
  it('the next chain names the end of the one before, and stores what was not stored', async () => {
    const storage = new MemoryStorage()
    const crashed = await startLog({ folder: logs, storage, maxBytes: 5_000 })
    await crashed.record(10)
    await crashed.notary.run()
    await crashed.record(30)
    // Nobody stops it. What is in the store ends before what is in the files.
    const { stop, record } = await startLog({ folder: logs, storage })
    await record(1)
    await stop()
    const verdict = await verify()
    expect(verdict).toMatchObject({ findings: [], uncovered: 0, events: 43 })
    expect(await verifyBlocks(storage.blocks(), KEYS)).toMatchObject({ findings: [], events: 43, uncovered: 0 })
    await crashed.log.close()
  })

  it('a line that was cut off is told of, and is no fault', async () => {
    const crashed = await startLog({ folder: logs })
    await crashed.record(5)
    appendFileSync(crashed.files.path!, '{"seq":7,"hash":"00')
    expect((await verify()).notes.join()).toContain('cut off after 19 bytes')
    const { stop } = await startLog({ folder: logs })
    await stop()
    expect(await verify()).toMatchObject({ findings: [], events: 7 })
    await crashed.log.close()
  })

  it('events that the files hold are not chained again, stored or not', async () => {
    const storage = new MemoryStorage()
    const crashed = await startLog({ folder: logs, storage })
    const [stored, unstored, left] = [randomUUID(), randomUUID(), randomUUID()]
    for (const id of [stored, unstored, left]) storage.pending.set(id, leftEvent(id))
    await crashed.log.append(leftEvent(stored))
    await crashed.notary.run()
    await crashed.log.append(leftEvent(unstored))
    const { recorder, stop } = await startLog({ folder: logs, storage })
    expect([...storage.pending.keys()]).toEqual([left])
    expect(await recorder.chainLeftovers(storage)).toBe(1)
    await stop()
    await crashed.log.close()
  })

  it('events that were committed and not chained are chained', async () => {
    const storage = new MemoryStorage()
    storage.pending.set('left', '{"eventName":"CreateKey"}')
    const { recorder, notary, log, stop } = await startLog({ folder: logs, storage })
    expect(await recorder.chainLeftovers(storage)).toBe(1)
    expect(await recorder.chainLeftovers(storage)).toBe(0)
    await notary.run()
    expect([...storage.pending]).toEqual([])
    expect(log.head.seq).toBe(2)
    await stop()
  })
})

/** An event as a change leaves it behind. */
const leftEvent = (id: string) => `{"eventName":"CreateKey","eventID":"${id}"}`

function replace(path: string): void {
  renameSync(path, `${path}.old`)
  writeFileSync(path, '')
}

describe('a log that cannot be written', () => {
  it('refuses events, leaves nothing of them behind, and goes on where it was', async () => {
    const failures: string[] = []
    const parts = {
      onFailed: ({ reason }: { reason: string }) => void failures.push(reason),
      resumed: () => '{"resumed":1}',
    }
    const { log, files, record, stop } = await startLog({ folder: logs, parts })
    await record(3)
    const before = readFileSync(files.path!)
    // Half of the lines reach the disk, then it is full.
    jest.spyOn(files, 'append').mockImplementationOnce(async lines => {
      appendFileSync(files.path!, lines.subarray(0, 10))
      throw new Error('ENOSPC: no space left on device')
    })
    await expect(log.append('{"lost":1}')).rejects.toThrow(AuditUnavailable)
    expect(() => log.requireWritable()).toThrow('no space left on device')
    await expect(log.append('{"lost":2}')).rejects.toThrow(AuditUnavailable)
    expect(failures).toEqual(['ENOSPC: no space left on device'])
    await log.tend()
    expect(log.failure).toBeUndefined()
    await record(2)
    await stop()
    const [first] = await listLogFiles(logs)
    expect(readFileSync(first!).subarray(0, before.length)).toEqual(before)
    expect(readFileSync(first!, 'utf8')).not.toContain('lost')
  })

  it.each([
    ['removed', (path: string) => unlinkSync(path)],
    ['replaced', (path: string) => replace(path)],
    ['cut', (path: string) => writeFileSync(path, '')],
  ])('notices that its file was %s', async (_, harm) => {
    const failures: string[] = []
    const parts = { onFailed: ({ reason }: { reason: string }) => void failures.push(reason) }
    const { log, files, record, stop } = await startLog({ folder: logs, parts })
    await record(2)
    harm(files.path!)
    await log.tend()
    expect(failures).toHaveLength(1)
    expect(log.failure).toBeUndefined()
    await record(1)
    await stop()
    const { findings, notes } = await verify()
    expect([...findings, ...notes]).not.toEqual([])
  })

  it('stays refused while its folder is no folder, and works again with one', async () => {
    const { log, record, stop } = await startLog({ folder: logs, maxBytes: 1 })
    renameSync(logs, `${logs}.away`)
    writeFileSync(logs, '')
    // While one file gives way to the next, there is nothing to look at.
    while (log.failure === undefined) {
      await new Promise(resolve => setTimeout(resolve, 5))
      await log.tend()
    }
    await log.tend()
    expect(log.failure?.reason).toMatch(/EEXIST|ENOTDIR/)
    await expect(record(1)).rejects.toThrow(AuditUnavailable)
    unlinkSync(logs)
    renameSync(`${logs}.away`, logs)
    await log.tend()
    await record(1)
    await stop()
    expect(await verify()).toMatchObject({ findings: [], uncovered: 0 })
  })

  it('takes no more while the key store takes nothing', async () => {
    const { log, record, notary, stop } = await startLog({ folder: logs, parts: { unstoredMaxBytes: 2_000 } })
    await record(5)
    expect(() => log.requireWritable()).toThrow('the key store takes no events')
    await notary.run()
    expect(() => log.requireWritable()).not.toThrow()
    await stop()
  })
})
