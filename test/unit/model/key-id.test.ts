import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { isKeyId, KID_BYTES, keyIdOf, kidOf, newKeyId } from '../../../src/model/key-id.ts'

const UUID = '1234abcd-12ab-34cd-56ef-1234567890ab'
const MULTI_REGION = 'mrk-1234abcd12ab34cd56ef1234567890ab'
const RAW = '1234abcd12ab34cd56ef1234567890ab'

const sixteenBytes = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(bytes => Buffer.from(bytes))

describe('kid', () => {
  it('is one byte for the kind and the 16 raw bytes', () => {
    expect(kidOf(UUID).toString('hex')).toBe(`00${RAW}`)
    expect(kidOf(MULTI_REGION).toString('hex')).toBe(`01${RAW}`)
    expect(kidOf(UUID)).toHaveLength(KID_BYTES)
  })

  it('gives the key id back, for any bytes and both kinds', () => {
    fc.assert(
      fc.property(sixteenBytes, fc.constantFrom(0, 1), (raw, kind) => {
        const kid = Buffer.concat([Buffer.of(kind), raw])
        const keyId = keyIdOf(kid)
        expect(isKeyId(keyId ?? '')).toBe(true)
        expect(keyId?.startsWith('mrk-')).toBe(kind === 1)
        expect(kidOf(keyId ?? '')).toEqual(kid)
      }),
    )
  })

  it('of an unknown kind is no key id', () => {
    fc.assert(
      fc.property(sixteenBytes, fc.integer({ min: 2, max: 255 }), (raw, kind) => {
        expect(keyIdOf(Buffer.concat([Buffer.of(kind), raw]))).toBeUndefined()
      }),
    )
  })
})

describe('key ids', () => {
  it('are new ones each time, and well formed', () => {
    const ids = new Set(Array.from({ length: 100 }, newKeyId))
    expect(ids.size).toBe(100)
    expect([...ids].every(isKeyId)).toBe(true)
  })

  it.each([
    '',
    RAW,
    UUID.toUpperCase(),
    ` ${UUID}`,
    `${UUID}\n`,
    UUID.slice(1),
    `${UUID}0`,
    `mrk-${UUID}`,
    MULTI_REGION.slice(0, -1),
    `${MULTI_REGION}0`,
    'mrk-1234ABCD12ab34cd56ef1234567890ab',
    '1234abcd12ab-34cd-56ef-1234567890ab-',
    'alias/name',
    `arn:aws:kms:on-prem-1:000000000001:key/${UUID}`,
  ])('are not of the form %j', text => {
    expect(isKeyId(text)).toBe(false)
    expect(() => kidOf(text)).toThrow(RangeError)
  })
})
