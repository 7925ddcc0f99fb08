import { describe, expect, test } from '@jest/globals'
import { generatesDataKeys, SIZES } from './data-keys.ts'
import { answer, BLOB, bytes, kms, MATERIAL_ID, refusal } from './kms.ts'
import { standingKey } from './rules.ts'

describe('GenerateDataKey', () => {
  generatesDataKeys('GenerateDataKey', request => kms.generateDataKey(request))

  test.each(SIZES)('%s: in plaintext and encrypted', async (_, size, length) => {
    const key = await standingKey()
    const output = await answer(kms.generateDataKey({ KeyId: key.id, ...size }))
    expect(output).toStrictEqual({ CiphertextBlob: BLOB, Plaintext: BLOB, KeyId: key.arn, KeyMaterialId: MATERIAL_ID })
    expect(output.Plaintext).toHaveLength(length)
    expect((await kms.decrypt({ CiphertextBlob: output.CiphertextBlob })).Plaintext).toEqual(output.Plaintext)
  })

  test('refuses a recipient', async () => {
    const { id } = await standingKey()
    const Recipient = { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256' as const, AttestationDocument: bytes(9) }
    expect(await refusal(kms.generateDataKey({ KeyId: id, KeySpec: 'AES_256', Recipient }))).toBe(
      'UnsupportedOperationException: Recipient is not supported: there is no attestation here.',
    )
  })
})
