import type { DecapsulateRequest } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { bytes, invalid, kms, refusal } from './kms.ts'
import { standingKey } from './rules.ts'

const request = { EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob: bytes(1_088) } as const

/** What it does with a key of its kind is in test/integration/key-homes.test.ts, on a token that makes one. */
describe('Decapsulate', () => {
  test.each<[what: string, members: Partial<DecapsulateRequest>, expected: string]>([
    ['no key', { KeyId: undefined }, invalid('keyId', null, 'not be null')],
    [
      'no ciphertext',
      { SharedSecretCiphertextBlob: undefined },
      invalid('sharedSecretCiphertextBlob', null, 'not be null'),
    ],
    [
      'an empty ciphertext',
      { SharedSecretCiphertextBlob: bytes(0) },
      invalid('sharedSecretCiphertextBlob', undefined, 'have length greater than or equal to 1'),
    ],
    [
      '6,145 bytes',
      { SharedSecretCiphertextBlob: bytes(6_145) },
      invalid('sharedSecretCiphertextBlob', undefined, 'have length less than or equal to 6144'),
    ],
    [
      'an algorithm that does not exist',
      { EncapsulationAlgorithm: 'RSA_KEM' as never },
      invalid('encapsulationAlgorithm', 'RSA_KEM', 'satisfy enum value set: [ML_KEM]'),
    ],
  ])('refuses %s', async (_, members, expected) => {
    const { id } = await standingKey()
    expect(await refusal(kms.decapsulate({ KeyId: id, ...request, ...members }))).toBe(expected)
  })

  test.each([
    ['symmetric encryption', {}, 'ENCRYPT_DECRYPT'],
    ['signatures', { KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' }, 'SIGN_VERIFY'],
  ] as const)('refuses a key for %s', async (_, kind, usage) => {
    const key = await standingKey(kind)
    expect(await refusal(kms.decapsulate({ KeyId: key.id, ...request }))).toBe(
      `InvalidKeyUsageException: ${key.arn} key usage is ${usage} which is not valid for Decapsulate.`,
    )
  })
})
