/** The chains of a daemon's processes: what closes which, what shows that one was cut away, and questions that go across them. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { Forwarder, type ForwardPosition, type Sink } from '../../../src/audit/forwarder.ts'
import type { LineBlock } from '../../../src/audit/log.ts'
import { listFilesOf, listLogFiles, readLogFileName } from '../../../src/audit/log-files.ts'
import { type EventPlace, findEvents } from '../../../src/audit/query.ts'
import { recoverDaemon } from '../../../src/audit/recovery.ts'
import { verifyBlocks, verifyFiles } from '../../../src/audit/verify-files.ts'
import { ChainHasher, readAuditLine } from '../../../src/formats/audit-chain.ts'
import { SiblingChains } from '../../../src/processes/sibling-chains.ts'
import { auditPublicKey, eventLine, MemoryStorage, startLog, type TestLog } from '../../support/audit-log.ts'
import { makeFolder } from '../../support/tokens.ts'

const KEYS = [auditPublicKey]
const folder = makeFolder()
const storage = new MemoryStorage()
const original = join(folder.path, 'original')
const copy = join(folder.path, 'copy')
/** Ids, in the order in which they began. */
const chains: Record<'first' | 'killed' | 'replaced' | 'second' | 'next' | 'nextProcess', string> = {
  ...{ first: '', killed: '', replaced: '', second: '', next: '', nextProcess: '' },
}

let nowMs = Date.parse('2026-11-22T06:00:00Z')
const clock = () => (nowMs += 10)

/** Files are small, so that there are several, but of the last daemon, which began when the others had ended. */
async function begin(process?: number, daemon = '', others: () => readonly TestLog[] = () => []): Promise<TestLog> {
  return startLog({
    ...{ folder: original, storage, maxBytes: chains.next === '' ? 10_000 : 1_000_000, clock },
    ...(process === undefined ? {} : { place: { daemon, process } }),
    others: () => others().flatMap(({ notary }) => notary.stored ?? []),
  })
}

beforeAll(async () => {
  // A daemon of two service processes, one of which dies and is replaced; then all of it is killed, and another begins.
  const living = new Map<number, TestLog>()
  const first = await begin(undefined, '', () => [...living.values()])
  chains.first = first.log.chain
  const crashed: TestLog[] = [first]
  for (const [name, process] of [
    ['killed', 1],
    ['second', 2],
    ['replaced', 1],
  ] as const) {
    const started = await begin(process, chains.first)
    chains[name] = started.log.chain
    crashed.push(started)
    living.set(process, started)
    for (let round = 0; round < 4; round += 1) {
      for (const each of living.values()) {
        await each.record(15)
        if (round < 3 || each !== started) await each.notary.run()
      }
      await first.notary.run()
    }
  }
  const next = await begin(undefined, '', () => [...living.values()])
  living.clear()
  chains.next = next.log.chain
  const process = await begin(1, chains.next)
  living.set(1, process)
  chains.nextProcess = process.log.chain
  await process.record(10)
  await process.notary.run()
  await process.record(10)
  await process.stop()
  await next.stop()
  for (const { log } of crashed) await log.close()
})

afterAll(() => folder.remove())

beforeEach(() => {
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy)
  for (const name of readdirSync(original)) copyFileSync(join(original, name), join(copy, name))
})

const verify = async () => verifyFiles(await listLogFiles(copy), KEYS)
const filesOf = async (chain: string) =>
  (await listLogFiles(copy)).filter(path => readLogFileName(path).chain === chain)
const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1)
const countEvents = async () =>
  (await listLogFiles(copy)).flatMap(linesOf).filter(line => line.startsWith('{"seq"')).length
const isCheckpoint = (line: string) => line.startsWith('{"checkpoint"')

describe('chains of several processes', () => {
  it('are whole, in files and in the key store, when a process or the daemon was killed', async () => {
    const whole = { findings: [], notes: [], events: await countEvents(), uncovered: 0 }
    const verdict = await verify()
    expect(verdict).toMatchObject(whole)
    expect(verdict.chains.map(({ chain }) => chain).sort()).toEqual(Object.values(chains).sort())
    expect(await verifyBlocks(storage.blocks(), KEYS)).toMatchObject(whole)
  })

  it.each(Object.keys(chains) as (keyof typeof chains)[])('show that %s was removed', async name => {
    for (const path of await filesOf(chains[name])) rmSync(path)
    const { findings } = await verify()
    expect(findings.map(({ what }) => what).join('\n')).toContain(chains[name])
  })

  it('show that the end of one was cut off, back to a checkpoint of its own', async () => {
    const [path] = await filesOf(chains.nextProcess)
    const lines = linesOf(path!)
    writeFileSync(path!, `${lines.slice(0, lines.findIndex(isCheckpoint) + 1).join('\n')}\n`)
    const { findings } = await verify()
    expect(findings[0]).toMatchObject({ chain: chains.next, what: expect.stringContaining('events were removed') })
    expect(findings[0]?.what).toContain(chains.nextProcess)
  })

  it('show that events at the end of one, which only the checkpoint of the other covers, were rehashed', async () => {
    const [path] = await filesOf(chains.nextProcess)
    const lines = linesOf(path!).filter((_, at, all) => at !== all.findLastIndex(isCheckpoint))
    const last = readAuditLine(Buffer.from(lines.at(-1)!))
    const before = readAuditLine(Buffer.from(lines.at(-2)!))
    if (last?.kind !== 'event' || before?.kind !== 'event') throw new Error('the file ends with no two events')
    const event = last.event.toString('utf8').replace('"Decrypt"', '"Encrypt"')
    const hash = new ChainHasher(chains.nextProcess).next(last.seq, before.hash, event)
    writeFileSync(path!, `${[...lines.slice(0, -1), eventLine(last.seq, hash, event).trimEnd()].join('\n')}\n`)
    const { findings } = await verify()
    expect(findings[0]).toMatchObject({ chain: chains.next, what: expect.stringContaining('are not those') })
  })

  it('count as covered what the checkpoint of the other names', async () => {
    const [path] = await filesOf(chains.nextProcess)
    writeFileSync(
      path!,
      `${linesOf(path!)
        .filter((_, at, all) => at !== all.findLastIndex(isCheckpoint))
        .join('\n')}\n`,
    )
    expect(await verify()).toMatchObject({ findings: [], uncovered: 0 })
  })

  it('are whole without those of a daemon that is over, and without closed files of one that is not', async () => {
    for (const name of ['first', 'killed', 'replaced', 'second'] as const)
      for (const path of await filesOf(chains[name])) rmSync(path)
    const { findings, notes } = await verify()
    expect(findings).toEqual([])
    expect(notes.filter(note => note.includes('was not given'))).toHaveLength(3)
  })

  it('are whole in the key store when a process’ own blocks have expired', async () => {
    // Of the daemon's own chain only blocks are left that have checkpoints and no event.
    const expired = ({ chain, firstSeq, lastSeq }: LineBlock) =>
      chain === chains.second || (chain === chains.first && firstSeq <= lastSeq)
    const left = async function* () {
      for await (const block of storage.blocks()) if (!expired(block)) yield block
    }
    expect((await verifyBlocks(left(), KEYS)).findings).toEqual([])
  })

  it('do not begin behind one that never had an event', async () => {
    const name = readdirSync(copy).sort().at(-1)!
    writeFileSync(join(copy, name.replace(/^audit-\d{8}/, 'audit-20991122')), linesOf(join(copy, name))[0]!)
    const { own } = await recoverDaemon(copy, storage, clock())
    expect(own?.previous.chain).toBe(chains.next)
  })
})

describe('an event that a change has left', () => {
  it('is left to the process whose chain should hold it, until that chain is closed', async () => {
    const left = { a: '{"eventName":"CreateKey"}', b: '{"eventName":"DisableKey"}', c: '{"eventName":"Init"}' }
    const kept = {
      pendingEvents: async () => [
        { id: 'a', event: left.a, chain: 'open' },
        { id: 'b', event: left.b, chain: 'closed' },
        { id: 'c', event: left.c, chain: null },
      ],
    }
    const siblings = new SiblingChains()
    siblings.told(1, { chain: 'closed', stored: undefined, failure: undefined })
    siblings.left(1)
    siblings.told(2, { chain: 'open', stored: undefined, failure: undefined })
    const logs = join(folder.path, 'left')
    const { log, recorder, files } = await startLog({ folder: logs })
    const isOurs = (chain: string | null) => chain === null || !siblings.isOpen(chain)
    // Nobody has said yet what the process that ended has recorded itself.
    expect(await recorder.chainLeftovers(kept, isOurs)).toBe(1)
    siblings.told(1, { chain: 'next', stored: undefined, failure: undefined })
    expect(await recorder.chainLeftovers(kept, isOurs)).toBe(1)
    expect(await recorder.chainLeftovers(kept, isOurs)).toBe(0)
    const path = files.path!
    await log.close()
    expect(linesOf(path).filter(line => Object.values(left).some(event => line.includes(event)))).toEqual([
      expect.stringContaining(left.c),
      expect.stringContaining(left.b),
    ])
  })
})

describe('forwarded lines of several processes', () => {
  it('verify as they come, whichever stand among which', async () => {
    const got: string[] = []
    const sink: Sink = {
      name: 'http',
      send: async lines => void got.push(...lines.map(String)),
      close() {},
    }
    const positions = new Map<string, ForwardPosition>()
    const kept = {
      position: async (name: string) => positions.get(name),
      setPosition: async (name: string, position: ForwardPosition) => void positions.set(name, position),
    }
    await Promise.all(
      [undefined, 1, 2].map(process => new Forwarder({ folder: copy, sink, storage: kept, process }).run()),
    )
    expect([...positions.keys()].sort()).toEqual(['http', 'http-p1', 'http-p2'])
    expect(got.toSorted()).toEqual((await listLogFiles(copy)).flatMap(linesOf).toSorted())
    for (const [process, of] of [undefined, 1, 2].map(each => [each, listFilesOf(each, copy)] as const)) {
      const own = (await of).flatMap(linesOf)
      expect([process, got.filter(line => own.includes(line))]).toEqual([process, own])
    }
    // Line by line in turns, as they may arrive.
    const streams = await Promise.all(
      [undefined, 1, 2].map(async each => (await listFilesOf(each, copy)).flatMap(linesOf)),
    )
    const mixed = Array.from({ length: Math.max(...streams.map(({ length }) => length)) }, (_, at) =>
      streams.flatMap(stream => stream[at] ?? []),
    ).flat()
    const collected = join(copy, 'collected')
    writeFileSync(collected, `${mixed.join('\n')}\n`)
    const verdict = await verifyFiles([collected], KEYS, undefined, { forwarded: true })
    expect(verdict).toMatchObject({ findings: [], events: await countEvents(), uncovered: 0 })
    writeFileSync(collected, `${mixed.toSpliced(150, 1).join('\n')}\n`)
    expect((await verifyFiles([collected], KEYS, undefined, { forwarded: true })).findings).not.toEqual([])
  })
})

describe('a question across chains', () => {
  const at = (second: number) => new Date(Date.parse('2026-11-22T06:00:00Z') + second * 1_000).toISOString()
  const event = (eventID: string, second: number) =>
    JSON.stringify({
      eventID,
      eventName: 'Decrypt',
      eventTime: at(second).replace('.000Z', 'Z'),
      userIdentity: {},
      resources: [],
    })
  /** Events of one chain by their seconds; a block holds what was written from its first second to its last. */
  const block = (chain: string, firstSeq: number, seconds: readonly number[], late?: number): LineBlock => ({
    ...{ chain, firstSeq, lastSeq: firstSeq + seconds.length - 1 },
    ...{ firstAtMs: Date.parse(at(seconds[0]!)) + 5, lastAtMs: Date.parse(at(seconds.at(-1)!)) + 5 },
    lines: Buffer.from(
      seconds
        .map((second, index) => {
          const seq = firstSeq + index
          const text = event(`${chain.slice(0, 1)}${seq}`, seq === late ? second - 600 : second)
          return eventLine(seq, '0'.repeat(64), text)
        })
        .join(''),
    ),
  })
  const [a, b] = ['a'.repeat(32), 'b'.repeat(32)] as const
  const blocks = [
    block(a, 1, [1, 2, 5]),
    block(b, 1, [2, 3, 4, 6]),
    // What was left over long before is recorded as the fifth.
    block(a, 4, [6, 6, 9], 5),
    block(b, 5, [10, 11]),
  ].sort((one, other) => other.lastAtMs - one.lastAtMs)
  const ask = async (after?: EventPlace) => {
    const found: ({ id: string } & EventPlace)[] = []
    const stored = (async function* () {
      yield* blocks
    })()
    for await (const { event: each, chain, seq, atMs } of findEvents(stored, {}, { after }))
      found.push({ id: each.eventID, chain, seq, atMs })
    return found
  }
  const order = ['b6', 'b5', 'a6', 'b4', 'a5', 'a4', 'a3', 'b3', 'b2', 'b1', 'a2', 'a1']

  it('is answered by time, each chain in its order', async () => {
    expect((await ask()).map(({ id }) => id)).toEqual(order)
  })

  it('goes on behind any event', async () => {
    for (const [index, place] of (await ask()).entries())
      expect((await ask(place)).map(({ id }) => id)).toEqual(order.slice(index + 1))
  })
})
