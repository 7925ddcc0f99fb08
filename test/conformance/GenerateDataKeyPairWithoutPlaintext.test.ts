import { describe, expect, test } from '@jest/globals'
import { generatesPairs } from './data-key-pairs.ts'
import { answer, BLOB, kms, MATERIAL_ID } from './kms.ts'
import { standingKey } from './rules.ts'

describe('GenerateDataKeyPairWithoutPlaintext', () => {
  generatesPairs('GenerateDataKeyPairWithoutPlaintext', request => kms.generateDataKeyPairWithoutPlaintext(request))

  test('returns no private key', async () => {
    const key = await standingKey()
    const call = kms.generateDataKeyPairWithoutPlaintext({ KeyId: key.id, KeyPairSpec: 'ECC_NIST_P256' })
    expect(await answer(call)).toStrictEqual({
      PrivateKeyCiphertextBlob: BLOB,
      PublicKey: BLOB,
      KeyId: key.arn,
      KeyPairSpec: 'ECC_NIST_P256',
      KeyMaterialId: MATERIAL_ID,
    })
  })
})
