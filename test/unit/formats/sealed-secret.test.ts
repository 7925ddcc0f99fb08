import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { MalformedBytes } from '../../../src/base/bytes.ts'
import { IV_BYTES, MID_BYTES, NONCE_BYTES, TAG_BYTES } from '../../../src/formats/ciphertext.ts'
import { cbcDerivationData, counterFixedInput, ZERO_IV } from '../../../src/formats/derivation.ts'
import {
  decodeSealedSecret,
  encodeSealedSecret,
  type SealedSecret,
  type SecretOwner,
  sealedSecretAad,
} from '../../../src/formats/sealed-secret.ts'

interface Opens extends SecretOwner {
  outcome: 'opens'
  suite: number
  kid: string
  hbk: string
  mid: string
  nonce: string
  iv: string
  secret: string
  dek: string
  aad: string
  record: string
}
interface Malformed {
  outcome: 'malformed'
  name: string
  record: string
}

const file = new URL('../../vectors/sealed-secret.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: (Opens | Malformed)[] }
const opens = vectors.filter(vector => vector.outcome === 'opens')
const malformed = vectors.filter(vector => vector.outcome === 'malformed')

const hex = (text: string) => Buffer.from(text, 'hex')

function deriveDek(hbk: Buffer, kid: Buffer, { suite, nonce, mid }: SealedSecret): Buffer {
  if (suite === 2) {
    const input = counterFixedInput('identity', nonce, kid, mid)
    return createHmac('sha256', hbk)
      .update(Buffer.of(0, 0, 0, 1))
      .update(input)
      .digest()
  }
  const cipher = createCipheriv('aes-256-cbc', hbk, ZERO_IV).setAutoPadding(false)
  return Buffer.concat([cipher.update(cbcDerivationData('identity', nonce)), cipher.final()])
}

function open(dek: Buffer, secret: SealedSecret, owner: SecretOwner): string {
  const decipher = createDecipheriv('aes-256-gcm', dek, secret.iv, { authTagLength: TAG_BYTES })
  decipher.setAAD(sealedSecretAad(secret, owner)).setAuthTag(secret.sealed.subarray(-TAG_BYTES))
  return decipher.update(secret.sealed.subarray(0, -TAG_BYTES), undefined, 'latin1') + decipher.final('latin1')
}

describe('the frozen vectors', () => {
  it.each(opens)('open, and are written again to the byte: suite $suite', vector => {
    const secret = decodeSealedSecret(hex(vector.record))
    expect(secret.suite).toBe(vector.suite)
    expect(secret.mid.toString('hex')).toBe(vector.mid)
    expect(secret.nonce.toString('hex')).toBe(vector.nonce)
    expect(secret.iv.toString('hex')).toBe(vector.iv)
    expect(sealedSecretAad(secret, vector).toString('hex')).toBe(vector.aad)
    const dek = deriveDek(hex(vector.hbk), hex(vector.kid), secret)
    expect(dek.toString('hex')).toBe(vector.dek)
    expect(open(dek, secret, vector)).toBe(vector.secret)
    expect(encodeSealedSecret(secret).toString('hex')).toBe(vector.record)
  })

  it.each(malformed)('are refused: $name', ({ record }) => {
    expect(() => decodeSealedSecret(hex(record))).toThrow(MalformedBytes)
  })

  it('cover both suites', () => {
    expect(opens.map(vector => vector.suite)).toEqual([1, 2])
    expect(malformed.length).toBeGreaterThan(0)
  })
})

describe('a sealed secret', () => {
  const [vector] = opens as [Opens]
  const bytes = (length: number) =>
    fc.uint8Array({ minLength: length, maxLength: length }).map(value => Buffer.from(value))

  it.each<[string, Partial<SecretOwner>]>([
    ['access key', { accessKeyId: 'AKIAI44QH8DHBEXAMPLE' }],
    ['principal', { principalId: 'AIDAJQABLZS4A3QDU576Q' }],
    ['account', { account: '000000000002' }],
    ['row, to the same characters', { accessKeyId: 'AKIAIOSFODNN7EXAMPL', principalId: 'EAIDACKCEVSQ6C2EXAMPLE' }],
  ])('does not open when it is moved to another %s', (_, change) => {
    const secret = decodeSealedSecret(hex(vector.record))
    expect(() => open(hex(vector.dek), secret, { ...vector, ...change })).toThrow()
  })

  it('does not open when any one bit of it is flipped', () => {
    const record = hex(vector.record)
    for (let bit = 0; bit < record.length * 8; bit++) {
      const changed = Buffer.from(record)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => {
        const secret = decodeSealedSecret(changed)
        open(deriveDek(hex(vector.hbk), hex(vector.kid), secret), secret, vector)
      }).toThrow()
    }
  })

  it('reads back as what was written', () => {
    const secret = fc.record({
      suite: fc.integer({ min: 0, max: 255 }),
      mid: bytes(MID_BYTES),
      nonce: bytes(NONCE_BYTES),
      iv: bytes(IV_BYTES),
      sealed: fc.uint8Array({ minLength: TAG_BYTES + 1, maxLength: 120 }).map(value => Buffer.from(value)),
    })
    fc.assert(fc.property(secret, secret => expect(decodeSealedSecret(encodeSealedSecret(secret))).toEqual(secret)))
  })

  it('is refused wherever it is cut before its tag is whole', () => {
    const record = hex(vector.record)
    for (let length = 0; length <= record.length - vector.secret.length; length++) {
      expect(() => decodeSealedSecret(record.subarray(0, length))).toThrow(MalformedBytes)
    }
  })
})
