import { describe, expect, test } from '@jest/globals'
import { answer, type Key, kms, makeKey, putInState, refusal } from './kms.ts'
import { takesKeyId } from './rules.ts'

describe('CancelKeyDeletion', () => {
  const cancelPending = async (KeyId: string | undefined) => {
    // What names no key cannot be scheduled either; the refusal under test is that of CancelKeyDeletion.
    await kms.scheduleKeyDeletion({ KeyId }).catch(() => undefined)
    return kms.cancelKeyDeletion({ KeyId })
  }
  takesKeyId(cancelPending, { action: 'CancelKeyDeletion' })

  test('takes a key back, which is disabled then', async () => {
    const key = await makeKey()
    await putInState(key, 'PendingDeletion')
    expect(await answer(kms.cancelKeyDeletion({ KeyId: key.id }))).toStrictEqual({ KeyId: key.arn })
    const { KeyMetadata } = await kms.describeKey({ KeyId: key.id })
    expect(KeyMetadata).toMatchObject({ Enabled: false, KeyState: 'Disabled' })
    expect(KeyMetadata).not.toHaveProperty('DeletionDate')
  })

  const notPending = ({ arn }: Key) => `KMSInvalidStateException: ${arn} is not pending deletion.`
  test.each(['Enabled', 'Disabled'] as const)('refuses a key that is %s', async state => {
    const key = await makeKey()
    await putInState(key, state)
    expect(await refusal(kms.cancelKeyDeletion({ KeyId: key.id }))).toBe(notPending(key))
  })

  test('what the key encrypted before can be decrypted again, once the key is enabled', async () => {
    const key = await makeKey()
    const Plaintext = new TextEncoder().encode('orders')
    const { CiphertextBlob } = await kms.encrypt({ KeyId: key.id, Plaintext })
    await putInState(key, 'PendingDeletion')
    await kms.cancelKeyDeletion({ KeyId: key.id })
    await kms.enableKey({ KeyId: key.id })
    expect((await kms.decrypt({ CiphertextBlob })).Plaintext).toEqual(Plaintext)
  })
})
