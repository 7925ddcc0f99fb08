/** The tests that GenerateDataKey and GenerateDataKeyWithoutPlaintext share: all that does not depend on the plaintext. */

import type { GenerateDataKeyRequest, GenerateDataKeyWithoutPlaintextResponse } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { INVALID_CIPHERTEXT, invalid, kms, makeKey, refusal } from './kms.ts'
import { ONLY_ENABLED, obeysKeyState, standingKey, takesDryRun, takesKeyId } from './rules.ts'

export type DataKeyRequest = Omit<GenerateDataKeyRequest, 'Recipient'>
type Generate = (request: DataKeyRequest) => Promise<GenerateDataKeyWithoutPlaintextResponse>

/** What a data key may be, with its length in bytes. */
export const SIZES: [what: string, size: Partial<DataKeyRequest>, length: number][] = [
  ['AES_128', { KeySpec: 'AES_128' }, 16],
  ['AES_256', { KeySpec: 'AES_256' }, 32],
  ['1 byte', { NumberOfBytes: 1 }, 1],
  ['33 bytes', { NumberOfBytes: 33 }, 33],
  ['1,024 bytes', { NumberOfBytes: 1_024 }, 1_024],
]

export function generatesDataKeys(action: string, generate: Generate): void {
  takesKeyId(KeyId => generate({ KeyId, KeySpec: 'AES_256' }), { action, aliases: true })
  obeysKeyState(({ id }) => generate({ KeyId: id, KeySpec: 'AES_256' }), ONLY_ENABLED)
  takesDryRun(members => generate({ KeyId: undefined, KeySpec: 'AES_256', ...members }))

  const neitherOrBoth = 'ValidationException: Please specify either number of bytes or key spec.'
  test.each<[what: string, size: Partial<DataKeyRequest>, expected: string]>([
    ['neither size nor spec', {}, neitherOrBoth],
    ['both', { KeySpec: 'AES_256', NumberOfBytes: 32 }, neitherOrBoth],
    ['0 bytes', { NumberOfBytes: 0 }, invalid('numberOfBytes', '0', 'have value greater than or equal to 1')],
    [
      '1,025 bytes',
      { NumberOfBytes: 1_025 },
      invalid('numberOfBytes', '1025', 'have value less than or equal to 1024'),
    ],
    [
      'another spec',
      { KeySpec: 'AES_192' as 'AES_256' },
      invalid('keySpec', 'AES_192', 'satisfy enum value set: [AES_256, AES_128]'),
    ],
    [
      'a context that is too long',
      { KeySpec: 'AES_256', EncryptionContext: { key: 'v'.repeat(8_190) } },
      invalid('encryptionContext', undefined, 'have length less than or equal to 8192'),
    ],
  ])('refuses %s, in a dry run too', async (_, size, expected) => {
    const { id } = await standingKey()
    for (const DryRun of [false, true]) {
      expect(await refusal(generate({ KeyId: id, DryRun, ...size }))).toBe(expected)
    }
  })

  test('a data key is another one every time', async () => {
    const { id } = await standingKey()
    const seen = new Set<string>()
    for (let count = 0; count < 10; count++) {
      const { CiphertextBlob } = await generate({ KeyId: id, KeySpec: 'AES_256' })
      const { Plaintext } = await kms.decrypt({ CiphertextBlob })
      seen.add(Buffer.from(Plaintext!).toString('hex'))
    }
    expect(seen.size).toBe(10)
  })

  describe('its ciphertext', () => {
    test('is bound to key and encryption context', async () => {
      const key = await standingKey()
      const EncryptionContext = { tenant: '42', '😀': 'é' }
      const { CiphertextBlob } = await generate({ KeyId: key.id, KeySpec: 'AES_256', EncryptionContext })
      expect((await kms.decrypt({ CiphertextBlob, EncryptionContext })).KeyId).toBe(key.arn)
      expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe(INVALID_CIPHERTEXT)
      expect(await refusal(kms.decrypt({ CiphertextBlob, EncryptionContext: { tenant: '42' } }))).toBe(
        INVALID_CIPHERTEXT,
      )
      const { id } = await makeKey()
      expect(await refusal(kms.decrypt({ CiphertextBlob, EncryptionContext, KeyId: id }))).toBe(
        'IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.',
      )
    })

    test('names the material that Decrypt and DescribeKey name', async () => {
      const { id } = await standingKey()
      const { CiphertextBlob, KeyMaterialId } = await generate({ KeyId: id, KeySpec: 'AES_256' })
      expect((await kms.decrypt({ CiphertextBlob })).KeyMaterialId).toBe(KeyMaterialId)
      expect((await kms.describeKey({ KeyId: id })).KeyMetadata!.CurrentKeyMaterialId).toBe(KeyMaterialId)
    })
  })
}
