/** Whatever is changed in an audit log is found: tests 21 of security.md 6, and a hundred random changes. */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { LineBlock } from '../../../src/audit/log.ts'
import { listLogFiles } from '../../../src/audit/log-files.ts'
import { verifyBlocks, verifyFiles } from '../../../src/audit/verify-files.ts'
import { ChainHasher, readAuditLine } from '../../../src/formats/audit-chain.ts'
import { auditPublicKey, eventLine, MemoryStorage, startLog } from '../../support/audit-log.ts'
import { makeFolder } from '../../support/tokens.ts'

const KEYS = [auditPublicKey]
const folder = makeFolder()
const storage = new MemoryStorage()
const original = join(folder.path, 'original')
const copy = join(folder.path, 'copy')

beforeAll(async () => {
  // Three starts, each with several files; checkpoints come in between, and one covers the end of each.
  let nowMs = Date.parse('2026-11-22T06:00:00Z')
  const clock = () => (nowMs += 10)
  for (let start = 0; start < 3; start += 1) {
    const { record, notary, stop } = await startLog({ folder: original, storage, maxBytes: 10_000, clock })
    for (let round = 0; round < 4; round += 1) {
      await record(15)
      await notary.run()
    }
    await stop()
  }
})

afterAll(() => folder.remove())

beforeEach(() => {
  rmSync(copy, { recursive: true, force: true })
  mkdirSync(copy)
  for (const name of readdirSync(original)) copyFileSync(join(original, name), join(copy, name))
})

const verify = async () => verifyFiles(await listLogFiles(copy), KEYS)
const files = () => listLogFiles(copy)
const linesOf = (path: string) => readFileSync(path, 'utf8').split('\n').slice(0, -1)
const write = (path: string, lines: readonly string[]) => writeFileSync(path, lines.map(line => `${line}\n`).join(''))
const isEvent = (line: string) => line.startsWith('{"seq"')
const isCheckpoint = (line: string) => line.startsWith('{"checkpoint"')
const seqOf = (line: string) => Number(/^{"seq":(\d+)/.exec(line)?.[1])

/** Changes the lines of one file. */
async function change(at: number, by: (lines: string[]) => string[]): Promise<string> {
  const path = (await files())[at]!
  write(path, by(linesOf(path)))
  return path
}

/** Small numbers that look random, the same in every run. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    yield state / 2 ** 31
  }
}

describe('a log that nobody has touched', () => {
  it('is whole, over all its chains and files', async () => {
    expect((await files()).length).toBeGreaterThan(8)
    const verdict = await verify()
    expect(verdict).toMatchObject({ findings: [], notes: [], events: 183, uncovered: 0 })
    expect(verdict.chains).toHaveLength(3)
  })

  it('is whole in the key store too', async () => {
    expect(await verifyBlocks(storage.blocks(), KEYS)).toMatchObject({
      findings: [],
      notes: [],
      events: 183,
      uncovered: 0,
    })
  })

  it('is no proof without the key that signed', async () => {
    const { findings } = await verifyFiles(await files(), [])
    expect(findings[0]?.what).toContain('whose public key was not given')
  })

  it('says what was not given', async () => {
    const given = (await files()).slice(2)
    const { findings, notes } = await verifyFiles(given, KEYS)
    expect(findings).toEqual([])
    expect(notes.join()).toContain('were not given')
  })
})

describe('what a collector has', () => {
  const collected = join(folder.path, 'collected.jsonl')
  const collect = (lines: readonly string[]) => {
    write(collected, lines)
    return verifyFiles([collected], KEYS, undefined, { forwarded: true })
  }
  const all = async () => (await files()).flatMap(linesOf)

  it('is whole when lines were sent again', async () => {
    const lines = await all()
    const again = [...lines.slice(0, 60), ...lines.slice(20, 130), ...lines.slice(40)]
    expect(await collect(again)).toMatchObject({
      ...{ findings: [], events: 183, uncovered: 0 },
      notes: ['130 lines came more than once, as forwarded lines may'],
    })
    expect((await verifyFiles([collected], KEYS)).findings).not.toEqual([])
  })

  it('is not when one was changed, removed or moved', async () => {
    const lines = await all()
    const at = lines.findIndex((line, index) => index > 60 && isEvent(line))
    const changed = lines[at]!.replace('"Decrypt"', '"Encrypt"')
    for (const wrong of [lines.with(at, changed), lines.toSpliced(at, 1), [...lines.toSpliced(at, 1), lines[at]!]])
      expect((await collect([...wrong.slice(0, 30), ...wrong])).findings).not.toEqual([])
  })
})

describe('a hundred random changes of a byte or a line', () => {
  const random = numbers(20_261_122)
  const pick = (below: number) => Math.floor(random.next().value * below)
  const changes: Record<string, (lines: Buffer[]) => void> = {
    'a byte changed': lines => {
      const line = lines[pick(lines.length)]!
      const at = pick(line.length)
      line[at] = line[at]! ^ (1 + pick(255))
    },
    'a line removed': lines => void lines.splice(pick(lines.length), 1),
    'a line repeated': lines => {
      const at = pick(lines.length)
      lines.splice(pick(lines.length), 0, lines[at]!)
    },
    'two lines exchanged': lines => {
      const [a, b] = [pick(lines.length), pick(lines.length - 1)]
      const other = b >= a ? b + 1 : b
      ;[lines[a], lines[other]] = [lines[other]!, lines[a]!]
    },
  }
  const split = (bytes: Buffer): Buffer[] => {
    const lines: Buffer[] = []
    for (let from = 0; from < bytes.length; ) {
      const end = bytes.indexOf(0x0a, from) + 1
      lines.push(Buffer.from(bytes.subarray(from, end)))
      from = end
    }
    return lines
  }
  const names = Object.keys(changes)

  it('are found in files', async () => {
    const missed: string[] = []
    const paths = await files()
    for (let count = 0; count < 100; count += 1) {
      const name = names[count % names.length]!
      const path = paths[pick(paths.length)]!
      const before = readFileSync(path)
      const lines = split(before)
      if (lines.length < 2) continue
      changes[name]!(lines)
      const after = Buffer.concat(lines)
      writeFileSync(path, after)
      const { findings, uncovered } = await verifyFiles(paths, KEYS)
      if (findings.length === 0 && uncovered === 0 && !after.equals(before)) missed.push(`${count}: ${name} in ${path}`)
      writeFileSync(path, before)
    }
    expect(missed).toEqual([])
  })

  it('are found in the key store', async () => {
    const missed: string[] = []
    for (let count = 0; count < 100; count += 1) {
      const name = names[count % names.length]!
      const at = pick(storage.stored.length)
      const block = storage.stored[at]!
      const lines = split(block.lines)
      if (lines.length < 2) continue
      changes[name]!(lines)
      const changed: LineBlock = { ...block, lines: Buffer.concat(lines) }
      const blocks = storage.stored.with(at, changed)
      const { findings, uncovered } = await verifyBlocks(
        (async function* () {
          yield* blocks
        })(),
        KEYS,
      )
      if (findings.length === 0 && uncovered === 0 && !changed.lines.equals(block.lines))
        missed.push(`${count}: ${name}`)
    }
    expect(missed).toEqual([])
  })
})

describe('the first finding', () => {
  /** The number of an event somewhere in the middle of the second file. */
  const target = async () => seqOf(linesOf((await files())[1]!).filter(isEvent)[5]!)

  it('names the event that was changed', async () => {
    const seq = await target()
    await change(1, lines => lines.map(line => (seqOf(line) === seq ? line.replace('"Decrypt"', '"Encrypt"') : line)))
    const { findings } = await verify()
    expect(findings[0]).toMatchObject({ seq, what: 'the event was changed, or the one before it' })
    expect(findings[0]?.eventId).toMatch(/^[0-9a-f-]{36}$/)
    expect(findings).toHaveLength(1)
  })

  it('names the event that was removed', async () => {
    const seq = await target()
    await change(1, lines => lines.filter(line => seqOf(line) !== seq))
    expect((await verify()).findings[0]).toMatchObject({ seq, what: `event ${seq} was removed or moved` })
  })

  it('names the event that was moved', async () => {
    const seq = await target()
    await change(1, lines => {
      const moved = lines.find(line => seqOf(line) === seq)!
      const rest = lines.filter(line => line !== moved)
      return rest.toSpliced(rest.findIndex(line => seqOf(line) === seq + 3) + 1, 0, moved)
    })
    const { findings } = await verify()
    expect(findings[0]).toMatchObject({ seq, what: expect.stringContaining('removed or moved') })
    expect(findings.some(finding => finding.what === 'the event was moved here from its place')).toBe(true)
  })

  it('names the event that was added, rightly hashed', async () => {
    const seq = await target()
    await change(1, lines => {
      const at = lines.findIndex(line => seqOf(line) === seq)
      const before = readAuditLine(Buffer.from(lines[at]!))
      const chain = /"chain":"([0-9a-f]{32})"/.exec(lines[0]!)![1]!
      const event = '{"eventName":"Forged"}'
      const hash = new ChainHasher(chain).next(seq + 1, before?.kind === 'event' ? before.hash : '', event)
      return lines.toSpliced(at + 1, 0, eventLine(seq + 1, hash, event).trimEnd())
    })
    expect((await verify()).findings[0]).toMatchObject({ seq: seq + 1, what: expect.stringContaining('there twice') })
  })

  it('names what a checkpoint does not cover when all that follows was rehashed', async () => {
    const seq = await target()
    const all = await files()
    const [first] = linesOf(all[0]!)
    const chain = /"chain":"([0-9a-f]{32})"/.exec(first!)![1]!
    const hasher = new ChainHasher(chain)
    let hash: string | undefined
    for (const path of all.filter(name => name.includes(chain))) {
      write(
        path,
        linesOf(path).map(line => {
          const read = readAuditLine(Buffer.from(line))!
          if (read.kind === 'file')
            return hash === undefined ? line : line.replace(/"hash":"[0-9a-f]{64}"/, `"hash":"${hash}"`)
          if (read.kind !== 'event' || read.seq < seq - 1) return line
          if (read.seq === seq - 1) {
            hash = read.hash
            return line
          }
          const event = read.event.toString().replace('"Decrypt"', read.seq === seq ? '"Encrypt"' : '"Decrypt"')
          hash = hasher.next(read.seq, hash!, event)
          return eventLine(read.seq, hash, event).trimEnd()
        }),
      )
    }
    const [finding] = (await verify()).findings
    expect(finding?.what).toContain('all after them rehashed')
    expect(finding?.seq).toBeLessThanOrEqual(seq)
  })

  it('tells of a tail that was cut, once a chain follows', async () => {
    const all = await files()
    const chain = all[0]!.slice(-45, -13)
    const last = all.findLastIndex(path => path.includes(chain) && linesOf(path).length > 1)
    await change(last, lines => lines.slice(0, -1))
    expect((await verify()).findings[0]?.what).toMatch(
      /its end was changed|checkpoint of chain .* was removed|the one before ended with/,
    )
  })

  it('reports the tail of the last chain that no checkpoint covers', async () => {
    const all = await files()
    await change(all.length - 1, lines => lines.slice(0, lines.findLastIndex(isCheckpoint)))
    const verdict = await verify()
    expect(verdict.findings).toEqual([])
    expect(verdict.uncovered).toBeGreaterThan(0)
  })

  it('tells of a chain that was dropped', async () => {
    const all = await files()
    const names = [...new Set(all.map(path => path.slice(-45, -13)))]
    const { findings } = await verifyFiles(
      all.filter(path => !path.includes(names[1]!)),
      KEYS,
    )
    expect(findings[0]?.what).toContain('a chain was dropped or added')
  })

  it('tells of a file that was dropped', async () => {
    const all = await files()
    expect((await verifyFiles(all.toSpliced(1, 1), KEYS)).findings[0]?.what).toContain('files are missing')
  })

  it('tells of files in another order', async () => {
    const all = await files()
    expect((await verifyFiles([all[1]!, all[0]!, ...all.slice(2)], KEYS)).findings).not.toEqual([])
  })

  it('tells of a checkpoint that stands there again', async () => {
    const checkpoint = linesOf((await files())[0]!).find(isCheckpoint)!
    await change(1, lines => [...lines, checkpoint])
    expect((await verify()).findings[0]?.what).toContain('stands here again')
  })
})
