import { describe, expect, test } from '@jest/globals'
import { generatesPairs } from './data-key-pairs.ts'
import { answer, BLOB, kms, MATERIAL_ID } from './kms.ts'
import { standingKey } from './rules.ts'

describe('GenerateDataKeyPair', () => {
  generatesPairs('GenerateDataKeyPair', request => kms.generateDataKeyPair(request))

  test('returns the private key, too', async () => {
    const key = await standingKey()
    const made = await answer(kms.generateDataKeyPair({ KeyId: key.id, KeyPairSpec: 'ECC_NIST_P256' }))
    expect(made).toStrictEqual({
      PrivateKeyCiphertextBlob: BLOB,
      PrivateKeyPlaintext: BLOB,
      PublicKey: BLOB,
      KeyId: key.arn,
      KeyPairSpec: 'ECC_NIST_P256',
      KeyMaterialId: MATERIAL_ID,
    })
    const { Plaintext } = await kms.decrypt({ CiphertextBlob: made.PrivateKeyCiphertextBlob })
    expect(Plaintext).toEqual(made.PrivateKeyPlaintext)
  })
})
