import { describe, expect, test } from '@jest/globals'
import { answer, kms, makeKey, putInState } from './kms.ts'
import { ANY_STATE, obeysKeyState, takesKeyId } from './rules.ts'

describe('GetKeyRotationStatus', () => {
  takesKeyId(KeyId => kms.getKeyRotationStatus({ KeyId }), { action: 'GetKeyRotationStatus' })
  obeysKeyState(({ id }) => kms.getKeyRotationStatus({ KeyId: id }), ANY_STATE)

  test('a key is not rotated before it is told to be', async () => {
    const { id, arn } = await makeKey()
    expect(await answer(kms.getKeyRotationStatus({ KeyId: id }))).toStrictEqual({
      KeyId: arn,
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
