import { createCipheriv, createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import {
  CBC_NONCE_OFFSET,
  cbcDerivationData,
  counterFixedInput,
  DEK_BYTES,
  KDF_SUITES,
  PURPOSES,
  type Purpose,
  ZERO_IV,
} from '../../../src/formats/derivation.ts'
import { kidOf } from '../../../src/model/key-id.ts'

interface Vector {
  suite: number
  purpose: Purpose
  hbk: string
  nonce: string
  input: string
  dek: string
}
type Suite1 = Vector & { suite: 1; outcome: 'derives' }
type Suite2 = Vector & { suite: 2; outcome: 'derives'; keyId: string; kid: string; mid: string }
type Differs = Vector & { suite: 1; outcome: 'differs'; name: string; iv: string }

const file = new URL('../../vectors/dek-derivation.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: (Suite1 | Suite2 | Differs)[] }
const derives = vectors.filter(vector => vector.outcome === 'derives')
const suite1 = derives.filter(vector => vector.suite === 1)
const suite2 = derives.filter(vector => vector.suite === 2)
const differs = vectors.filter(vector => vector.outcome === 'differs')

const hex = (text: string) => Buffer.from(text, 'hex')
const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map(value => Buffer.from(value))
const purpose = fc.constantFrom(...(Object.keys(PURPOSES) as Purpose[]))

/** What CKM_AES_CBC_ENCRYPT_DATA computes. */
function aesCbc(key: Buffer, iv: Buffer, data: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-cbc', key, iv).setAutoPadding(false)
  return Buffer.concat([cipher.update(data), cipher.final()])
}

/** One block of SP 800-108 in counter mode. */
function counterBlock(key: Buffer, fixedInput: Buffer): Buffer {
  return createHmac('sha256', key)
    .update(Buffer.of(0, 0, 0, 1))
    .update(fixedInput)
    .digest()
}

describe('suite 1, AES-CBC-DATA', () => {
  it.each(suite1)('gives the frozen DEK for purpose $purpose, nonce $nonce', ({ purpose, hbk, nonce, input, dek }) => {
    const data = cbcDerivationData(purpose, hex(nonce))
    expect(data.toString('hex')).toBe(input)
    expect(aesCbc(hex(hbk), ZERO_IV, data).toString('hex')).toBe(dek)
    expect(aesCbc(hex(hbk), Buffer.alloc(16), hex(input)).toString('hex')).toBe(dek)
  })

  it('has the layout label, nonce, filler', () => {
    const nonce = Buffer.from('000102030405060708090a0b0c0d0e0f', 'hex')
    expect(cbcDerivationData('data', nonce).toString('latin1')).toBe(`SRd1${nonce.toString('latin1')}strongroom:1`)
    expect(cbcDerivationData('identity', nonce).toString('latin1')).toBe(`SRi1${nonce.toString('latin1')}strongroom:i`)
    expect(cbcDerivationData('data', nonce).subarray(CBC_NONCE_OFFSET, CBC_NONCE_OFFSET + 16)).toEqual(nonce)
  })

  it('has an IV of 16 zero bytes', () => {
    expect(ZERO_IV).toEqual(Buffer.alloc(16))
  })

  it.each(differs)('never gives what the construction "$name" gives', ({ purpose, hbk, nonce, iv, input, dek }) => {
    expect(iv).toBe(nonce)
    expect(aesCbc(hex(hbk), hex(iv), hex(input)).toString('hex')).toBe(dek)
    expect(suite1.some(vector => vector.hbk === hbk && vector.nonce === nonce)).toBe(true)
    expect(aesCbc(hex(hbk), ZERO_IV, cbcDerivationData(purpose, hex(nonce))).toString('hex')).not.toBe(dek)
  })

  it('differs from the construction with IV = N for every key and nonce', () => {
    fc.assert(
      fc.property(bytes(32), bytes(16), purpose, (hbk, nonce, purpose) => {
        fc.pre(!nonce.equals(ZERO_IV))
        const data = cbcDerivationData(purpose, nonce)
        expect(aesCbc(hbk, ZERO_IV, data).equals(aesCbc(hbk, nonce, data))).toBe(false)
      }),
    )
  })

  it('lets no chosen nonce undo a label, as IV = N does', () => {
    const xor = (a: Buffer, b: Buffer) => Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)))
    fc.assert(
      fc.property(bytes(32), bytes(16), (hbk, nonce) => {
        const data = cbcDerivationData('data', nonce).subarray(0, 16)
        const identity = cbcDerivationData('identity', nonce).subarray(0, 16)
        const chosen = xor(xor(nonce, data), identity)
        // With IV = N the chosen nonce gives one first half to both labels.
        expect(aesCbc(hbk, chosen, identity)).toEqual(aesCbc(hbk, nonce, data))
        expect(
          aesCbc(hbk, ZERO_IV, cbcDerivationData('identity', chosen))
            .subarray(0, 16)
            .equals(aesCbc(hbk, ZERO_IV, cbcDerivationData('data', nonce)).subarray(0, 16)),
        ).toBe(false)
      }),
    )
  })
})

describe('suite 2, SP800-108-HMAC-SHA256', () => {
  it.each(suite2)('gives the frozen DEK for purpose $purpose, key $keyId', vector => {
    const { purpose, hbk, nonce, keyId, kid, mid, input, dek } = vector
    expect(kidOf(keyId).toString('hex')).toBe(kid)
    const fixedInput = counterFixedInput(purpose, hex(nonce), hex(kid), hex(mid))
    expect(fixedInput.toString('hex')).toBe(input)
    expect(counterBlock(hex(hbk), fixedInput).toString('hex')).toBe(dek)
  })

  it('has a fixed input of 86 bytes for purpose data', () => {
    expect(counterFixedInput('data', Buffer.alloc(16), Buffer.alloc(17), Buffer.alloc(32))).toHaveLength(86)
  })

  it('has the layout label, 00, nonce, kid, mid, length in bits', () => {
    const input = counterFixedInput('identity', Buffer.alloc(16, 1), Buffer.alloc(17, 2), Buffer.alloc(32, 3))
    expect(input.toString('latin1')).toBe(
      `strongroom/identity/1\0${'\x01'.repeat(16)}${'\x02'.repeat(17)}${'\x03'.repeat(32)}\0\0\x01\0`,
    )
    expect(input.readUInt32BE(input.length - 4)).toBe(DEK_BYTES * 8)
  })
})

describe('the suites', () => {
  it('have the numbers that stand in ciphertexts', () => {
    expect(KDF_SUITES).toEqual({ 'AES-CBC-DATA': 1, 'SP800-108-HMAC-SHA256': 2 })
  })

  it('give different inputs to different purposes and different nonces', () => {
    const kid = Buffer.alloc(17)
    const mid = Buffer.alloc(32)
    fc.assert(
      fc.property(bytes(16), bytes(16), purpose, purpose, (nonce, other, first, second) => {
        fc.pre(first !== second || !nonce.equals(other))
        expect(cbcDerivationData(first, nonce).equals(cbcDerivationData(second, other))).toBe(false)
        expect(counterFixedInput(first, nonce, kid, mid).equals(counterFixedInput(second, other, kid, mid))).toBe(false)
      }),
    )
  })

  it('are frozen for both suites and every purpose', () => {
    for (const frozen of [suite1, suite2]) {
      expect(new Set(frozen.map(vector => vector.purpose))).toEqual(new Set(Object.keys(PURPOSES)))
    }
  })
})
