import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { CHAIN_START, ChainHasher, checkpointLine, fileLine, readAuditLine } from '../../../src/formats/audit-chain.ts'
import { eventLine } from '../../support/audit-log.ts'

interface Vector {
  readonly seq: number
  readonly previous: string
  readonly event: string
  readonly hash: string
  readonly line: string
}

const file = new URL('../../vectors/audit-chain.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as { chain: string; fileLine: string; events: Vector[] }
const sha256 = (data: Buffer | string) => createHash('sha256').update(data).digest()
const withoutLineFeed = (line: string) => Buffer.from(line).subarray(0, -1)

describe('the frozen vectors', () => {
  it.each(vectors.events)('give hash and line of event $seq', ({ seq, previous, event, hash, line }) => {
    const hasher = new ChainHasher(vectors.chain)
    expect(hasher.next(seq, previous, event)).toBe(hash)
    expect(hasher.next(seq, previous, Buffer.from(event))).toBe(hash)
    expect(eventLine(seq, hash, event)).toBe(line)
    expect(readAuditLine(withoutLineFeed(line))).toEqual({ kind: 'event', seq, hash, event: Buffer.from(event) })
  })

  it('are hashed with all 64 bits of their number', () => {
    const seq = 2 ** 32 * 3 + 7
    const number = Buffer.alloc(8)
    number.writeBigUInt64BE(BigInt(seq))
    const parts = ['strongroom/audit/1', Buffer.from(vectors.chain, 'hex'), number, Buffer.alloc(32), sha256('{}')]
    expect(new ChainHasher(vectors.chain).next(seq, CHAIN_START, '{}')).toBe(
      sha256(Buffer.concat(parts.map(part => Buffer.from(part)))).toString('hex'),
    )
  })

  it('are one chain', () => {
    const hashes = [CHAIN_START, ...vectors.events.map(({ hash }) => hash)]
    expect(vectors.events.map(({ previous }) => previous)).toEqual(hashes.slice(0, -1))
  })

  it('give the first line of a file', () => {
    const { seq, hash } = vectors.events.at(-1)!
    const head = { chain: vectors.chain, seq, hash }
    expect(fileLine(head, 7)).toBe(vectors.fileLine)
    expect(readAuditLine(withoutLineFeed(vectors.fileLine))).toEqual({ kind: 'file', file: 7, ...head })
  })
})

describe('a line', () => {
  const lines = [
    vectors.events[1]!.line,
    vectors.fileLine,
    checkpointLine(Buffer.from('body'), Buffer.from('signature of it')),
  ].map(withoutLineFeed)
  const hasher = new ChainHasher(vectors.chain)
  /** Whether a reader that expects event 2 takes the line for it. */
  const passes = (line: Buffer) => {
    const read = readAuditLine(line)
    if (read?.kind !== 'event') return read !== undefined
    return read.seq === 2 && hasher.next(2, vectors.events[1]!.previous, read.event) === read.hash
  }

  it('has one spelling: one that differs by a byte is another or none', () => {
    for (const line of lines) {
      expect(passes(line)).toBe(true)
      const original = readAuditLine(line)
      for (let at = 0; at < line.length; at += 1) {
        for (const change of [1, 2, 0x20, 0x80]) {
          const altered = Buffer.from(line)
          altered[at]! ^= change
          const read = readAuditLine(altered)
          if (original?.kind === 'event') expect(passes(altered)).toBe(false)
          else if (read !== undefined) expect(read).not.toEqual(original)
        }
      }
    }
  })

  it.each([
    '',
    '{}',
    '{"seq":1}',
    '{"seq":01,"hash":"00","event":{}}',
    ` ${vectors.events[0]!.line.trim()}`,
    vectors.events[0]!.line.trim().slice(0, -1),
    '{"checkpoint":"YQ==","signature":"YR=="}',
  ])('is none of this format: %s', line => {
    expect(readAuditLine(Buffer.from(line))).toBeUndefined()
  })
})
