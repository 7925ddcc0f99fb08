import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { CONTEXT_HASH_BYTES, canonicalContext, contextHash } from '../../../src/formats/aad.ts'
import { type EncryptionContext, encryptionContextFrom } from '../../../src/model/encryption-context.ts'

type Vector = { name: string; json: string } & (
  | { outcome: 'accepted'; canonical: string; hash: string }
  | { outcome: 'refused'; reason: string }
)

const file = new URL('../../vectors/encryption-context.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: Vector[] }
const accepted = vectors.filter(vector => vector.outcome === 'accepted')
const refused = vectors.filter(vector => vector.outcome === 'refused')

function contextOf(json: string): EncryptionContext {
  const context = encryptionContextFrom(JSON.parse(json))
  if (typeof context === 'string') throw new Error(context)
  return context
}

const text = fc.string({ unit: 'grapheme', maxLength: 12 })
const pairs = fc.uniqueArray(fc.tuple(text, text), { selector: ([key]) => key, maxLength: 8 })

describe('the frozen vectors', () => {
  it('are there', () => {
    expect(accepted.length).toBeGreaterThan(8)
    expect(refused.length).toBeGreaterThan(8)
  })

  it.each(accepted)('give the bytes and hash of: $name', ({ json, canonical, hash }) => {
    const context = contextOf(json)
    expect(canonicalContext(context).toString('hex')).toBe(canonical)
    expect(contextHash(context).toString('hex')).toBe(hash)
    const recomputed = createHash('sha256')
      .update('strongroom/ec/1\0')
      .update(Buffer.from(canonical, 'hex'))
      .digest('hex')
    expect(recomputed).toBe(hash)
  })

  it.each(refused)('refuse: $name', ({ json, reason }) => {
    expect(encryptionContextFrom(JSON.parse(json))).toBe(reason)
  })
})

describe('canonicalContext', () => {
  it('does not depend on the order of the pairs', () => {
    const permuted = pairs.chain(pairs =>
      fc.tuple(fc.constant(pairs), fc.shuffledSubarray(pairs, { minLength: pairs.length, maxLength: pairs.length })),
    )
    fc.assert(
      fc.property(permuted, ([pairs, shuffled]) => {
        expect(canonicalContext(new Map(shuffled))).toEqual(canonicalContext(new Map(pairs)))
        expect(contextHash(new Map(shuffled))).toEqual(contextHash(new Map(pairs)))
      }),
    )
  })

  it('keeps every byte of every pair, so different contexts never share it', () => {
    fc.assert(
      fc.property(pairs, pairs => {
        const context = new Map(pairs)
        expect(readCanonical(canonicalContext(context))).toEqual(context)
      }),
    )
  })

  it('sorts by UTF-8 bytes, which beyond the Basic Multilingual Plane is not the order of JavaScript', () => {
    const keys = ['\u{1f511}', '\ufffd']
    expect(keys.toSorted()).toEqual(keys)
    const canonical = canonicalContext(new Map(keys.map(key => [key, ''])))
    expect([...readCanonical(canonical).keys()]).toEqual(keys.toReversed())
  })

  it('tells pairs apart whose bytes are the same in a row', () => {
    const hashes = [
      new Map([['a', 'bc']]),
      new Map([['ab', 'c']]),
      new Map([['abc', '']]),
      new Map([
        ['a', 'b'],
        ['c', ''],
      ]),
    ].map(context => contextHash(context).toString('hex'))
    expect(new Set(hashes).size).toBe(hashes.length)
  })

  it('does not normalise and does not fold case', () => {
    const hashes = ['é', 'e\u0301', 'É', 'e'].map(key => contextHash(new Map([[key, 'v']])).toString('hex'))
    expect(new Set(hashes).size).toBe(hashes.length)
  })

  it('of a pair named __proto__ differs from that of no pair', () => {
    expect(contextHash(contextOf('{"__proto__":"x"}'))).not.toEqual(contextHash(new Map()))
    expect(contextHash(contextOf('{"__proto__":"x"}'))).not.toEqual(contextHash(contextOf('{"__proto__":"y"}')))
  })

  it('of no pairs is two zero bytes', () => {
    expect(canonicalContext(new Map()).toString('hex')).toBe('0000')
    expect(contextHash(new Map())).toHaveLength(CONTEXT_HASH_BYTES)
  })

  it('throws RangeError for a string that its length cannot tell', () => {
    const tooLong = 'v'.repeat(0x1_0000)
    expect(() => canonicalContext(new Map([['k', tooLong]]))).toThrow(expect.objectContaining({ name: 'RangeError' }))
  })
})

/** A reader of the canonical bytes, written apart from the formats; the Map keeps their order. */
function readCanonical(bytes: Buffer): Map<string, string> {
  let offset = 2
  const next = () => {
    const end = offset + 2 + bytes.readUInt16BE(offset)
    const text = bytes.toString('utf8', offset + 2, end)
    offset = end
    return text
  }
  const context = new Map<string, string>()
  for (let left = bytes.readUInt16BE(0); left > 0; left--) {
    const key = next()
    context.set(key, next())
  }
  expect(offset).toBe(bytes.length)
  return context
}
