import { describe, expect, test } from '@jest/globals'
import { answer, encrypt, kms, makeKey, putInState } from './kms.ts'
import { NOT_PENDING, obeysKeyState, takesKeyId } from './rules.ts'

describe('EnableKey', () => {
  takesKeyId(KeyId => kms.enableKey({ KeyId }), { action: 'EnableKey' })
  obeysKeyState(({ id }) => kms.enableKey({ KeyId: id }), NOT_PENDING)

  test.each(['Enabled', 'Disabled'] as const)('a key that is %s can be used afterwards', async state => {
    const key = await makeKey()
    const CiphertextBlob = await encrypt(key)
    await putInState(key, state)
    expect(await answer(kms.enableKey({ KeyId: key.id }))).toStrictEqual({})
    const { KeyMetadata } = await kms.describeKey({ KeyId: key.id })
    expect(KeyMetadata).toMatchObject({ Enabled: true, KeyState: 'Enabled' })
    expect((await kms.decrypt({ CiphertextBlob })).KeyId).toBe(key.arn)
  })
})
