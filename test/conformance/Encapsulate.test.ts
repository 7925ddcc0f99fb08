import type { EncapsulateRequest } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { invalid, kms, refusal } from './kms.ts'
import { standingKey } from './rules.ts'

const request = { EncapsulationAlgorithm: 'ML_KEM' } as const

/** What it does with a key of its kind is in test/integration/key-homes.test.ts, on a token that makes one. */
describe('Encapsulate', () => {
  test.each<[what: string, members: Partial<EncapsulateRequest>, expected: string]>([
    ['no key', { KeyId: undefined }, invalid('keyId', null, 'not be null')],
    ['no algorithm', { EncapsulationAlgorithm: undefined }, invalid('encapsulationAlgorithm', null, 'not be null')],
    [
      'an algorithm that does not exist',
      { EncapsulationAlgorithm: 'RSA_KEM' as never },
      invalid('encapsulationAlgorithm', 'RSA_KEM', 'satisfy enum value set: [ML_KEM]'),
    ],
  ])('refuses %s', async (_, members, expected) => {
    const { id } = await standingKey()
    expect(await refusal(kms.encapsulate({ KeyId: id, ...request, ...members }))).toBe(expected)
  })

  test.each([
    ['symmetric encryption', {}, 'ENCRYPT_DECRYPT'],
    ['key agreement', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' }, 'KEY_AGREEMENT'],
  ] as const)('refuses a key for %s', async (_, kind, usage) => {
    const key = await standingKey(kind)
    const expected = `InvalidKeyUsageException: ${key.arn} key usage is ${usage} which is not valid for Encapsulate.`
    expect(await refusal(kms.encapsulate({ KeyId: key.id, ...request }))).toBe(expected)
    expect(await refusal(kms.encapsulate({ KeyId: key.id, ...request, DryRun: true }))).toBe(expected)
  })
})
