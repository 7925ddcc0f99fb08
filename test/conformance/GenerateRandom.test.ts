import type { GenerateRandomRequest } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { answer, BLOB, bytes, elsewhere, invalid, kms, refusal } from './kms.ts'

describe('GenerateRandom', () => {
  test.each([1, 32, 33, 1_024])('returns %d bytes and nothing else', async NumberOfBytes => {
    const output = await answer(kms.generateRandom({ NumberOfBytes }))
    expect(output).toStrictEqual({ Plaintext: BLOB })
    expect(output.Plaintext).toHaveLength(NumberOfBytes)
  })

  test('returns other bytes every time, in every region', async () => {
    const calls = Array.from({ length: 20 }, (_, at) =>
      (at % 2 === 0 ? kms : elsewhere).generateRandom({ NumberOfBytes: 16 }),
    )
    const drawn = (await Promise.all(calls)).map(({ Plaintext }) => Buffer.from(Plaintext!).toString('hex'))
    expect(new Set(drawn).size).toBe(20)
  })

  const KeyEncryptionAlgorithm = 'RSAES_OAEP_SHA_256'
  test.each<[what: string, request: GenerateRandomRequest, expected: string]>([
    ['no number', {}, 'ValidationException: NumberOfBytes is required.'],
    ['0 bytes', { NumberOfBytes: 0 }, invalid('numberOfBytes', '0', 'have value greater than or equal to 1')],
    [
      '1,025 bytes',
      { NumberOfBytes: 1_025 },
      invalid('numberOfBytes', '1025', 'have value less than or equal to 1024'),
    ],
    [
      'a custom key store',
      { NumberOfBytes: 32, CustomKeyStoreId: 'cks-1234567890abcdef0' },
      'UnsupportedOperationException: Custom key stores are not supported.',
    ],
    [
      'a recipient',
      { NumberOfBytes: 32, Recipient: { KeyEncryptionAlgorithm, AttestationDocument: bytes(9) } },
      'UnsupportedOperationException: Recipient is not supported: there is no attestation here.',
    ],
    [
      'an attestation document of no bytes',
      { NumberOfBytes: 32, Recipient: { KeyEncryptionAlgorithm, AttestationDocument: bytes(0) } },
      invalid('recipient.attestationDocument', undefined, 'have length greater than or equal to 1'),
    ],
  ])('refuses %s', async (_, request, expected) => {
    expect(await refusal(kms.generateRandom(request))).toBe(expected)
  })
})
