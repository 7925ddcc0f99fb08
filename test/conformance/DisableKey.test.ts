import { describe, expect, test } from '@jest/globals'
import { answer, disabled, encrypt, kms, makeAlias, makeKey, refusal } from './kms.ts'
import { NOT_PENDING, obeysKeyState, takesKeyId } from './rules.ts'

describe('DisableKey', () => {
  takesKeyId(KeyId => kms.disableKey({ KeyId }), { action: 'DisableKey' })
  obeysKeyState(({ id }) => kms.disableKey({ KeyId: id }), NOT_PENDING)

  test('forbids the use of the key at once, by whatever name', async () => {
    const key = await makeKey()
    const alias = await makeAlias(key)
    const CiphertextBlob = await encrypt(key)
    expect(await answer(kms.disableKey({ KeyId: key.id }))).toStrictEqual({})
    const { KeyMetadata } = await kms.describeKey({ KeyId: key.id })
    expect(KeyMetadata).toMatchObject({ Enabled: false, KeyState: 'Disabled' })
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe(disabled(key))
    expect(await refusal(kms.generateDataKey({ KeyId: alias, KeySpec: 'AES_256' }))).toBe(disabled(key))
  })
})
