import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import {
  branchHash,
  bucketHash,
  decodeAnchor,
  EMPTY_BRANCH,
  EMPTY_BRANCHES,
  encodeAnchor,
  FAN_OUT,
  LEDGER_DIGEST_BYTES,
  leafOf,
  ledgerDigest,
  placeOf,
} from '../../../src/formats/row-ledger.ts'

interface Vector {
  readonly table: string
  readonly primaryKey: string
  readonly mac: string
  readonly place: number
  readonly leaf: string
}

const file = new URL('../../vectors/row-ledger.json', import.meta.url)
const { vectors, emptyLedger, ledgerOfFirst, anchorOfFirstAtEpoch7 } = JSON.parse(readFileSync(file, 'utf8')) as {
  vectors: Vector[]
  emptyLedger: string
  ledgerOfFirst: string
  anchorOfFirstAtEpoch7: string
}

describe('the frozen vectors', () => {
  it.each(vectors)('give place and leaf: $table $mac', ({ mac, place, leaf, ...row }) => {
    expect(placeOf(row)).toBe(place)
    expect(leafOf(row, Buffer.from(mac, 'hex')).toString('hex')).toBe(leaf)
  })

  it('give the digest of a ledger, and the anchor of it', () => {
    const [first] = vectors as [Vector]
    expect(ledgerDigest(EMPTY_BRANCHES).toString('hex')).toBe(emptyLedger)
    const [buckets, branches] = [Buffer.from(EMPTY_BRANCH), Buffer.from(EMPTY_BRANCHES)]
    bucketHash(Buffer.from(first.leaf, 'hex')).copy(buckets, (first.place % FAN_OUT) * LEDGER_DIGEST_BYTES)
    branchHash(buckets).copy(branches, Math.floor(first.place / FAN_OUT) * LEDGER_DIGEST_BYTES)
    const digest = ledgerDigest(branches)
    expect(digest.toString('hex')).toBe(ledgerOfFirst)
    expect(encodeAnchor({ epoch: 7, digest }).toString('hex')).toBe(anchorOfFirstAtEpoch7)
    expect(decodeAnchor(Buffer.from(anchorOfFirstAtEpoch7, 'hex'))).toEqual({ epoch: 7, digest })
  })
})

describe('an anchor', () => {
  it.each([
    ['of another format', `02${anchorOfFirstAtEpoch7.slice(2)}`],
    ['cut short', anchorOfFirstAtEpoch7.slice(0, -2)],
    ['with bytes after it', `${anchorOfFirstAtEpoch7}00`],
  ])('%s is refused', (_what, hex) => {
    expect(() => decodeAnchor(Buffer.from(hex, 'hex'))).toThrow(expect.objectContaining({ name: 'MalformedBytes' }))
  })
})
