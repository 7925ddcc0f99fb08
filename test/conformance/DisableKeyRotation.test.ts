import { describe, expect, test } from '@jest/globals'
import { answer, disabled, kms, makeKey, pendingDeletion } from './kms.ts'
import { obeysKeyState, takesKeyId } from './rules.ts'

describe('DisableKeyRotation', () => {
  takesKeyId(KeyId => kms.disableKeyRotation({ KeyId }), { action: 'DisableKeyRotation' })
  obeysKeyState(({ id }) => kms.disableKeyRotation({ KeyId: id }), {
    Disabled: disabled,
    PendingDeletion: pendingDeletion,
  })

  test('ends the schedule', async () => {
    const { id } = await makeKey()
    await kms.enableKeyRotation({ KeyId: id })
    expect(await answer(kms.disableKeyRotation({ KeyId: id }))).toStrictEqual({})
    expect(await answer(kms.getKeyRotationStatus({ KeyId: id }))).toStrictEqual({
      KeyId: id,
      KeyRotationEnabled: false,
    })
  })
})
