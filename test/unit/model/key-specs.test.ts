/** The table of key specs, held against what AWS's own SDK knows: names are the wire's, so none may be invented or missing. */
import {
  CustomerMasterKeySpec,
  EncryptionAlgorithmSpec,
  KeyAgreementAlgorithmSpec,
  KeySpec,
  KeyUsageType,
  MacAlgorithmSpec,
  SigningAlgorithmSpec,
} from '@aws-sdk/client-kms'
import { describe, expect, it } from '@jest/globals'
import {
  ALGORITHM_MEMBER,
  algorithmsOf,
  ENCRYPTION_ALGORITHMS,
  KEY_SPECS,
  KEY_USAGES,
  type KeyUsage,
  keySpecs,
  LEGACY_KEY_SPECS,
  specFacts,
} from '../../../src/model/key-specs.ts'

const sorted = (names: Iterable<string>) => [...names].toSorted()
const algorithmsFor = (usage: KeyUsage) => sorted(new Set(KEY_SPECS.flatMap(spec => algorithmsOf(spec, usage))))

describe('the names', () => {
  it('of usages are those of the SDK', () => {
    expect(sorted(KEY_USAGES)).toEqual(sorted(Object.values(KeyUsageType)))
  })

  it('of specs are those of the SDK', () => {
    expect(sorted(KEY_SPECS)).toEqual(sorted(Object.values(KeySpec)))
    expect(sorted(LEGACY_KEY_SPECS)).toEqual(sorted(Object.values(CustomerMasterKeySpec)))
  })

  it('of algorithms are those of the SDK', () => {
    expect(algorithmsFor('ENCRYPT_DECRYPT')).toEqual(sorted(Object.values(EncryptionAlgorithmSpec)))
    expect(sorted(ENCRYPTION_ALGORITHMS)).toEqual(sorted(Object.values(EncryptionAlgorithmSpec)))
    expect(algorithmsFor('SIGN_VERIFY')).toEqual(sorted(Object.values(SigningAlgorithmSpec)))
    expect(algorithmsFor('GENERATE_VERIFY_MAC')).toEqual(sorted(Object.values(MacAlgorithmSpec)))
    expect(algorithmsFor('KEY_AGREEMENT')).toEqual(sorted(Object.values(KeyAgreementAlgorithmSpec)))
  })
})

describe('the facts', () => {
  it.each(KEY_SPECS)('of %s fit together', spec => {
    const facts = specFacts(spec)
    const usages = Object.keys(facts.algorithms) as KeyUsage[]
    expect(usages.length).toBeGreaterThan(0)
    for (const usage of usages) expect(ALGORITHM_MEMBER).toHaveProperty(usage)
    expect(facts.secretBytes === undefined).toBe(facts.class === 'asymmetric')
    expect(usages.includes('GENERATE_VERIFY_MAC')).toBe(facts.class === 'hmac')
  })

  it('make a symmetric HBK of exactly 32 bytes, and an HMAC key as long as its hash', () => {
    expect(keySpecs.SYMMETRIC_DEFAULT.secretBytes).toBe(32)
    expect(specFacts('HMAC_224').secretBytes).toBe(28)
    expect(specFacts('HMAC_256').secretBytes).toBe(32)
    expect(specFacts('HMAC_384').secretBytes).toBe(48)
    expect(specFacts('HMAC_512').secretBytes).toBe(64)
  })

  it('give no algorithm to a usage that does not fit', () => {
    expect(algorithmsOf('SYMMETRIC_DEFAULT', 'SIGN_VERIFY')).toEqual([])
    expect(algorithmsOf('HMAC_256', 'ENCRYPT_DECRYPT')).toEqual([])
    expect(algorithmsOf('ECC_SECG_P256K1', 'KEY_AGREEMENT')).toEqual([])
    expect(algorithmsOf('HMAC_384', 'GENERATE_VERIFY_MAC')).toEqual(['HMAC_SHA_384'])
  })
})
