import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { MalformedBytes } from '../../../src/base/bytes.ts'
import { contextHash } from '../../../src/formats/aad.ts'
import {
  AAD_BYTES,
  type CiphertextParts,
  HEADER_BYTES,
  IV_BYTES,
  kidOfCiphertext,
  MID_BYTES,
  midOfCiphertext,
  NONCE_BYTES,
  OVERHEAD_BYTES,
  parseCiphertext,
  startCiphertext,
  TAG_BYTES,
  writeAad,
} from '../../../src/formats/ciphertext.ts'
import { cbcDerivationData, counterFixedInput, ZERO_IV } from '../../../src/formats/derivation.ts'
import { encryptionContextFrom } from '../../../src/model/encryption-context.ts'
import { KID_BYTES, keyIdOf } from '../../../src/model/key-id.ts'

interface Opens {
  outcome: 'opens'
  suite: number
  keyId: string
  kid: string
  hbk: string
  mid: string
  nonce: string
  iv: string
  context: string
  plaintext: string
  dek: string
  aad: string
  blob: string
}
interface Fails {
  outcome: 'fails'
  name: string
  suite: number
  hbk: string
  context: string
  blob: string
}
interface Malformed {
  outcome: 'malformed'
  name: string
  blob: string
}

const file = new URL('../../vectors/ciphertext.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: (Opens | Fails | Malformed)[] }
const opens = vectors.filter(vector => vector.outcome === 'opens')
const fails = vectors.filter(vector => vector.outcome === 'fails')
const malformed = vectors.filter(vector => vector.outcome === 'malformed')

const hex = (text: string) => Buffer.from(text, 'hex')
const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map(value => Buffer.from(value))

/** What the token computes for a header, from an HBK that is known here. */
function deriveDek(hbk: Buffer, { suite, nonce, kid, mid }: CiphertextParts): Buffer {
  if (suite === 2) {
    const input = counterFixedInput('data', nonce, kid, mid)
    return createHmac('sha256', hbk)
      .update(Buffer.of(0, 0, 0, 1))
      .update(input)
      .digest()
  }
  const cipher = createCipheriv('aes-256-cbc', hbk, ZERO_IV).setAutoPadding(false)
  return Buffer.concat([cipher.update(cbcDerivationData('data', nonce)), cipher.final()])
}

function hashOf(context: string): Buffer {
  const parsed = encryptionContextFrom(JSON.parse(context))
  if (typeof parsed === 'string') throw new Error(parsed)
  return contextHash(parsed)
}

function open(hbk: Buffer, blob: Buffer, context: string): Buffer {
  const parts = parseCiphertext(blob)
  const decipher = createDecipheriv('aes-256-gcm', deriveDek(hbk, parts), parts.iv, { authTagLength: TAG_BYTES })
  decipher.setAAD(writeAad(Buffer.alloc(AAD_BYTES), blob, hashOf(context)))
  decipher.setAuthTag(parts.sealed.subarray(-TAG_BYTES))
  return Buffer.concat([decipher.update(parts.sealed.subarray(0, -TAG_BYTES)), decipher.final()])
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const changed = Buffer.from(bytes)
  changed[bit >> 3]! ^= 1 << (bit & 7)
  return changed
}

describe('the frozen vectors', () => {
  it('hold ciphertexts of both suites', () => {
    expect(new Set(opens.map(vector => vector.suite))).toEqual(new Set([1, 2]))
    expect(fails.length).toBeGreaterThan(0)
    expect(malformed.length).toBeGreaterThan(0)
  })

  it.each(opens)('open: suite $suite, key $keyId, context $context', vector => {
    const blob = hex(vector.blob)
    const parts = parseCiphertext(blob)
    expect({
      suite: parts.suite,
      kid: parts.kid.toString('hex'),
      mid: parts.mid.toString('hex'),
      nonce: parts.nonce.toString('hex'),
      iv: parts.iv.toString('hex'),
    }).toEqual({ suite: vector.suite, kid: vector.kid, mid: vector.mid, nonce: vector.nonce, iv: vector.iv })
    expect(kidOfCiphertext(blob).toString('hex')).toBe(vector.kid)
    expect(midOfCiphertext(blob)).toBe(vector.mid)
    expect(keyIdOf(parts.kid)).toBe(vector.keyId)
    expect(parts.sealed).toHaveLength(vector.plaintext.length / 2 + TAG_BYTES)
    expect(deriveDek(hex(vector.hbk), parts).toString('hex')).toBe(vector.dek)
    expect(writeAad(Buffer.alloc(AAD_BYTES), blob, hashOf(vector.context)).toString('hex')).toBe(vector.aad)
    expect(open(hex(vector.hbk), blob, vector.context).toString('hex')).toBe(vector.plaintext)
  })

  it.each(opens)('are written again to the byte: suite $suite, key $keyId, context $context', vector => {
    const { suite, dek, plaintext, context } = vector
    const room = plaintext.length / 2 + TAG_BYTES
    const { blob, sealed } = startCiphertext(
      suite,
      hex(vector.kid),
      hex(vector.mid),
      hex(vector.nonce),
      hex(vector.iv),
      room,
    )
    const cipher = createCipheriv('aes-256-gcm', hex(dek), hex(vector.iv), { authTagLength: TAG_BYTES })
    cipher.setAAD(writeAad(Buffer.alloc(AAD_BYTES), blob, hashOf(context)))
    sealed.set(Buffer.concat([cipher.update(hex(plaintext)), cipher.final(), cipher.getAuthTag()]))
    expect(blob.toString('hex')).toBe(vector.blob)
  })

  it.each(fails)('fail to open: suite $suite, $name', ({ hbk, blob, context }) => {
    expect(() => open(hex(hbk), hex(blob), context)).toThrow()
  })

  it.each(malformed)('are refused: $name', ({ blob }) => {
    for (const read of [parseCiphertext, kidOfCiphertext, midOfCiphertext])
      expect(() => read(hex(blob))).toThrow(MalformedBytes)
  })
})

describe('a ciphertext', () => {
  it('has the parts it was made of', () => {
    const parts = fc.record({
      suite: fc.integer({ min: 0, max: 255 }),
      kid: bytes(KID_BYTES),
      mid: bytes(MID_BYTES),
      nonce: bytes(NONCE_BYTES),
      iv: bytes(IV_BYTES),
      sealed: fc.uint8Array({ minLength: TAG_BYTES, maxLength: 300 }).map(value => Buffer.from(value)),
    })
    fc.assert(
      fc.property(parts, parts => {
        const { suite, kid, mid, nonce, iv } = parts
        const { blob, sealed } = startCiphertext(suite, kid, mid, nonce, iv, parts.sealed.length)
        sealed.set(parts.sealed)
        expect(parseCiphertext(blob)).toEqual(parts)
        expect(blob).toHaveLength(HEADER_BYTES + IV_BYTES + parts.sealed.length)
      }),
    )
  })

  it('is longer than its plaintext by 98 bytes', () => {
    expect(OVERHEAD_BYTES).toBe(98)
    expect(HEADER_BYTES).toBe(70)
    expect(AAD_BYTES).toBe(102)
  })

  it('changes its AAD with every bit of the header, and with none behind it', () => {
    const [vector] = opens
    const blob = hex(vector?.blob ?? '')
    const hash = hashOf('{}')
    const aad = writeAad(Buffer.alloc(AAD_BYTES), blob, hash)
    const bits = Array.from({ length: blob.length * 8 }, (_, bit) => bit)
    const unbound = bits.filter(bit => writeAad(Buffer.alloc(AAD_BYTES), flipped(blob, bit), hash).equals(aad))
    expect(unbound).toEqual(bits.slice(HEADER_BYTES * 8))
  })

  it.each([1, 2])('of suite %d does not open when any one bit is flipped', suite => {
    const vector = opens.find(entry => entry.suite === suite)!
    const blob = hex(vector.blob)
    for (let bit = 0; bit < blob.length * 8; bit++) {
      expect(() => open(hex(vector.hbk), flipped(blob, bit), vector.context)).toThrow()
    }
  })

  it('never throws anything but MalformedBytes, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        try {
          parseCiphertext(Buffer.from(bytes))
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedBytes)
        }
      }),
    )
  })
})
