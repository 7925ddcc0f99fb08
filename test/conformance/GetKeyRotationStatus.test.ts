import { describe, expect, test } from '@jest/globals'
import { answer, kms, makeKey, putInState } from './kms.ts'
import { ANY_STATE, obeysKeyState, standingKey, takesKeyId } from './rules.ts'

describe('GetKeyRotationStatus', () => {
  takesKeyId(KeyId => kms.getKeyRotationStatus({ KeyId }), { action: 'GetKeyRotationStatus', echoes: true })
  obeysKeyState(({ id }) => kms.getKeyRotationStatus({ KeyId: id }), ANY_STATE)

  test('a key is not rotated before it is told to be', async () => {
    const { id } = await makeKey()
    expect(await answer(kms.getKeyRotationStatus({ KeyId: id }))).toStrictEqual({
      KeyId: id,
      KeyRotationEnabled: false,
    })
  })

  test.each([
    { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' },
    { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' },
    { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC', Origin: 'EXTERNAL' },
    { Origin: 'EXTERNAL' },
  ] as const)('a key that cannot be rotated by itself is not: %o', async kind => {
    const { id } = await standingKey(kind)
    expect(await answer(kms.getKeyRotationStatus({ KeyId: id }))).toStrictEqual({
      KeyId: id,
      KeyRotationEnabled: false,
    })
  })

  test('is kept by a disabled key, and hidden while one is pending deletion', async () => {
    const key = await makeKey()
    await kms.enableKeyRotation({ KeyId: key.id, RotationPeriodInDays: 120 })
    await putInState(key, 'Disabled')
    expect(await kms.getKeyRotationStatus({ KeyId: key.id })).toMatchObject({ RotationPeriodInDays: 120 })
    await putInState(key, 'PendingDeletion')
    expect(await kms.getKeyRotationStatus({ KeyId: key.id })).toMatchObject({ KeyRotationEnabled: false })
    await kms.cancelKeyDeletion({ KeyId: key.id })
    expect(await kms.getKeyRotationStatus({ KeyId: key.id })).toMatchObject({ RotationPeriodInDays: 120 })
  })
})
