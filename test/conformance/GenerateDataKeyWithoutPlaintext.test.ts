import { describe, expect, test } from '@jest/globals'
import { generatesDataKeys, SIZES } from './data-keys.ts'
import { answer, BLOB, kms, MATERIAL_ID } from './kms.ts'
import { standingKey } from './rules.ts'

describe('GenerateDataKeyWithoutPlaintext', () => {
  generatesDataKeys('GenerateDataKeyWithoutPlaintext', request => kms.generateDataKeyWithoutPlaintext(request))

  test.each(SIZES)('%s: encrypted only', async (_, size, length) => {
    const key = await standingKey()
    const output = await answer(kms.generateDataKeyWithoutPlaintext({ KeyId: key.id, ...size }))
    expect(output).toStrictEqual({ CiphertextBlob: BLOB, KeyId: key.arn, KeyMaterialId: MATERIAL_ID })
    expect((await kms.decrypt({ CiphertextBlob: output.CiphertextBlob })).Plaintext).toHaveLength(length)
  })
})
