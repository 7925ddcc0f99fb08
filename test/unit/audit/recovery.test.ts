/** Where files or rows are not there when a daemon begins: copies of the key store, archives, and what somebody has removed. */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { LineBlock } from '../../../src/audit/log.ts'
import { listLogFiles, readLogFileName } from '../../../src/audit/log-files.ts'
import { recoverDaemon } from '../../../src/audit/recovery.ts'
import type { Verdict } from '../../../src/audit/verify.ts'
import { verifyBlocks, verifyFiles } from '../../../src/audit/verify-files.ts'
import { auditPublicKey, MemoryStorage, startLog, type TestLog } from '../../support/audit-log.ts'
import { makeFolder } from '../../support/tokens.ts'

const KEYS = [auditPublicKey]
const WHOLE = { findings: [], uncovered: 0 }

interface Daemon {
  readonly own: TestLog
  readonly processes: readonly TestLog[]
  /** Events of each chain, all of them in the key store. */
  record(count: number): Promise<void>
  /** With the processes first, as a daemon does. */
  stop(): Promise<void>
  /** Nothing is signed or stored any more. */
  kill(): Promise<void>
}

let root: ReturnType<typeof makeFolder>
let folder: string
let storage: MemoryStorage
let nowMs: number

const clock = () => (nowMs += 10)

beforeEach(() => {
  root = makeFolder()
  folder = join(root.path, 'audit')
  storage = new MemoryStorage()
  nowMs = Date.parse('2026-11-22T06:00:00Z')
})

afterEach(() => root.remove())

async function begin(count: number, maxBytes = 1_000_000): Promise<Daemon> {
  const processes: TestLog[] = []
  const others = () => processes.flatMap(({ notary }) => notary.stored ?? [])
  const own = await startLog({ folder, storage, maxBytes, clock, others })
  for (let process = 1; process <= count; process += 1)
    processes.push(await startLog({ folder, storage, maxBytes, clock, place: { daemon: own.log.chain, process } }))
  const daemon: Daemon = {
    own,
    processes,
    async record(events) {
      for (const each of [...processes, own]) {
        await each.record(events)
        await each.notary.run()
      }
      await own.notary.run()
    },
    async stop() {
      for (const each of [...processes, own]) await each.stop()
    },
    async kill() {
      for (const { log } of [own, ...processes]) await log.close()
    },
  }
  await daemon.record(3)
  return daemon
}

/** A copy of the key store as it is; the daemon goes on with the other. */
function copyOf({ stored, pending }: MemoryStorage): MemoryStorage {
  const copy = new MemoryStorage()
  copy.stored.push(...stored)
  for (const [id, event] of pending) copy.pending.set(id, event)
  return copy
}

async function verify(...folders: readonly string[]): Promise<Verdict> {
  return verifyFiles((await Promise.all(folders.map(listLogFiles))).flat(), KEYS)
}

const verifyStore = () => verifyBlocks(storage.blocks(), KEYS)
const whats = ({ findings }: Verdict) => findings.map(({ what }) => what).join('\n')

async function idsIn(...folders: readonly string[]): Promise<string[]> {
  const files = (await Promise.all(folders.map(listLogFiles))).flat()
  return files.flatMap(path => [...readFileSync(path, 'utf8').matchAll(/"eventID":"([^"]+)"/g)].map(([, id]) => id!))
}

async function removeFilesOf({ log }: TestLog): Promise<void> {
  for (const path of await listLogFiles(folder)) if (readLogFileName(path).chain === log.chain) rmSync(path)
}

describe('a copy of the key store in a folder without files', () => {
  it('has its ends followed, and nothing is wrong with it, nor with all files together', async () => {
    const lost = await begin(2)
    await lost.processes[0]!.log.close()
    const again = { daemon: lost.own.log.chain, process: 1 }
    const replaced = await startLog({ folder, storage, clock, place: again })
    await replaced.record(2)
    await replaced.notary.run()
    const copy = copyOf(storage)
    await lost.own.record(2)
    await lost.own.notary.run()
    await replaced.record(4)
    await lost.kill()
    await replaced.log.close()

    storage = copy
    const machine = folder
    folder = join(root.path, 'new')
    const next = await begin(1)
    await next.stop()
    expect(await verifyStore()).toMatchObject(WHOLE)
    const alone = await verify(folder)
    expect(alone).toMatchObject(WHOLE)
    const without = alone.notes.find(note => note.includes('began without the files of'))
    for (const { log } of [lost.own, replaced, lost.processes[1]!]) expect(without).toContain(log.chain)
    expect(without).not.toContain(lost.processes[0]!.log.chain)
    const both = await verify(machine, folder)
    expect(both.findings).toEqual([])
    expect(both.notes).toContainEqual(expect.stringMatching(/goes on behind event/))
    // What nothing signed covers is still told of.
    expect(both.uncovered).toBe(4)
  })

  it('is known by what is left of it when the first blocks of its chains have expired', async () => {
    const lost = await begin(2)
    await lost.record(4)
    await lost.stop()
    storage.stored.splice(0, storage.stored.length, ...storage.stored.filter(({ firstSeq }) => firstSeq > 1))
    folder = join(root.path, 'new')
    const { own, processes } = await recoverDaemon({ folder, storage, nowMs }, { keptSinceMs: 0 })
    expect(own).toMatchObject({ ...lost.own.log.head, fromStore: true })
    expect(processes).toMatchObject(lost.processes.map(({ log }) => log.head))
    await (await begin(0)).stop()
    expect((await verifyStore()).findings).toEqual([])
  })

  it('has no event chained again that its last blocks hold', async () => {
    const lost = await begin(1)
    await lost.stop()
    const held = await idsIn(folder)
    for (const id of held.slice(-1)) storage.pending.set(id, '{}')
    storage.pending.set('left', '{"eventName":"Init"}')
    folder = join(root.path, 'new')
    const next = await begin(0)
    expect([...storage.pending.keys()]).toEqual(['left'])
    await next.stop()
  })
})

describe('files that were archived', () => {
  it('verify together with those of the daemon that began without them', async () => {
    await (await begin(2)).stop()
    const archive = join(root.path, 'archive')
    renameSync(folder, archive)
    await (await begin(1)).stop()
    expect(await verify(archive, folder)).toMatchObject(WHOLE)
    expect(await verifyStore()).toMatchObject(WHOLE)
  })
})

describe('an end that was taken from the key store', () => {
  it('is missed where somebody cuts it off afterwards, in files and blocks', async () => {
    const daemon = await begin(0)
    await daemon.record(5)
    await daemon.stop()
    const archive = join(root.path, 'archive')
    renameSync(folder, archive)
    await (await begin(0)).stop()
    const [path] = await listLogFiles(archive)
    const lines = readFileSync(path!, 'utf8').split('\n')
    const checkpoint = lines.findIndex(line => line.startsWith('{"checkpoint"'))
    writeFileSync(path!, `${lines.slice(0, checkpoint + 1).join('\n')}\n`)
    const last = storage.stored.findLastIndex(({ chain }) => chain === daemon.own.log.chain)
    storage.stored.splice(last, 1)
    for (const verdict of [await verify(archive, folder), await verifyStore()])
      expect(whats(verdict)).toMatch(/its end was changed/)
  })
})

describe('a copy of the key store from several starts ago', () => {
  const restore = async (): Promise<readonly string[]> => {
    const first = await begin(2)
    // Several checkpoints behind one event.
    for (let round = 0; round < 3; round += 1) {
      await first.processes[0]!.record(1)
      await first.processes[0]!.notary.run()
      await first.own.notary.run()
    }
    const copy = copyOf(storage)
    await first.record(40)
    await first.stop()
    for (const count of [2, 0, 1]) await (await begin(count, 4_000)).stop()
    const ids = await idsIn(folder)
    for (const id of ids) copy.pending.set(id, '{}')
    storage = copy
    return ids
  }

  it('gets all that the files have, and no event is chained twice', async () => {
    await restore()
    const { stop } = await begin(1)
    expect([...storage.pending.keys()]).toEqual([])
    await stop()
    const [files, blocks] = [await verify(folder), await verifyStore()]
    expect([files, blocks]).toMatchObject([WHOLE, WHOLE])
    expect(blocks.events).toBe(files.events)
    // Each block says when what is in it was written, so that it expires in its turn.
    for await (const { firstAtMs, lastAtMs } of storage.blocks()) expect(firstAtMs).toBeLessThanOrEqual(lastAtMs)
  })

  it('gets it however often that is interrupted', async () => {
    await restore()
    const addBlock = storage.addBlock.bind(storage)
    for (let left = 0, interrupted = true; interrupted; left += 1) {
      let more = left
      storage.addBlock = async (block: LineBlock, chained) => {
        more -= 1
        if (more < 0) throw new Error('interrupted')
        await addBlock(block, chained)
      }
      interrupted = await recoverDaemon({ folder, storage, nowMs }, { keptSinceMs: 0 }).then(
        () => false,
        () => true,
      )
    }
    storage.addBlock = addBlock
    await (await begin(0)).stop()
    const [files, blocks] = [await verify(folder), await verifyStore()]
    expect([files, blocks]).toMatchObject([WHOLE, WHOLE])
    expect(blocks.events).toBe(files.events)
  })

  it('gets nothing that it would let go of at once', async () => {
    for (const count of [1, 0]) await (await begin(count)).stop()
    storage = new MemoryStorage()
    const keptSinceMs = clock()
    const last = await begin(0)
    await last.stop()
    storage = new MemoryStorage()
    await recoverDaemon({ folder, storage, nowMs }, { keptSinceMs })
    const chains = new Set(storage.stored.map(({ chain }) => chain))
    // The one before was written to until the last began.
    expect(chains.size).toBe(2)
    expect(chains).toContain(last.own.log.chain)
  })
})

describe('what somebody has removed before a daemon begins', () => {
  const places = [
    ['the daemon’s own chain', ({ own }: Daemon) => own],
    ['the chain of a service process', ({ processes }: Daemon) => processes[0]!],
  ] as const

  it.each(places)('is found when it was the files of %s', async (_what, of) => {
    await (await begin(1)).stop()
    const last = await begin(2)
    await last.stop()
    await removeFilesOf(of(last))
    await (await begin(0)).stop()
    expect(whats(await verify(folder))).toContain(of(last).log.chain)
    expect(await verifyStore()).toMatchObject(WHOLE)
  })

  it('is found when it was the blocks of an older daemon', async () => {
    await (await begin(0)).stop()
    const older = await begin(0)
    await older.stop()
    await (await begin(0)).stop()
    const left = storage.stored.filter(({ chain }) => chain !== older.own.log.chain)
    storage.stored.splice(0, storage.stored.length, ...left)
    await (await begin(0)).stop()
    expect(whats(await verifyStore())).toContain(older.own.log.chain)
    expect(await verify(folder)).toMatchObject(WHOLE)
  })

  it('is put back when it was blocks that the files of the last daemons have', async () => {
    await (await begin(1)).stop()
    const last = await begin(1)
    await last.stop()
    storage.stored.splice(
      0,
      storage.stored.length,
      ...storage.stored.filter(({ chain }) => chain !== last.own.log.chain),
    )
    await (await begin(0)).stop()
    const [files, blocks] = [await verify(folder), await verifyStore()]
    expect([files, blocks]).toMatchObject([WHOLE, WHOLE])
    expect(blocks.events).toBe(files.events)
  })

  it('leaves a note for good when it was all files, and all of the end of the key store', async () => {
    const lost = await begin(0)
    const { length } = storage.stored
    await lost.record(5)
    await lost.stop()
    const outside = join(root.path, 'outside')
    renameSync(folder, outside)
    storage.stored.splice(length)
    await (await begin(0)).stop()
    for (const verdict of [await verify(folder), await verifyStore()])
      expect(verdict.notes).toContainEqual(expect.stringMatching(/began without the files of/))
    expect((await verify(outside, folder)).notes).toContainEqual(expect.stringMatching(/goes on behind event/))
  })
})
