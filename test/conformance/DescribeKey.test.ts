import { describe, expect, test } from '@jest/globals'
import { accountId, answer, type Key, kms, MATERIAL_ID, makeKey, putInState, type State } from './kms.ts'
import { ANY_STATE, obeysKeyState, takesGrantTokens, takesKeyId } from './rules.ts'

describe('DescribeKey', () => {
  takesKeyId(KeyId => kms.describeKey({ KeyId }), { action: 'DescribeKey', aliases: true })
  obeysKeyState(({ id }) => kms.describeKey({ KeyId: id }), ANY_STATE)
  takesGrantTokens(members => kms.describeKey(members))

  const metadata = ({ id, arn }: Key, state: State) => ({
    AWSAccountId: accountId,
    KeyId: id,
    Arn: arn,
    CreationDate: expect.any(Date),
    Enabled: state === 'Enabled',
    Description: '',
    KeyUsage: 'ENCRYPT_DECRYPT',
    KeyState: state,
    Origin: 'AWS_KMS',
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT',
    KeySpec: 'SYMMETRIC_DEFAULT',
    EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
    MultiRegion: false,
    CurrentKeyMaterialId: MATERIAL_ID,
  })

  test.each(['Enabled', 'Disabled'] as const)('returns all of a key that is %s', async state => {
    const key = await makeKey()
    await putInState(key, state)
    expect(await answer(kms.describeKey({ KeyId: key.id }))).toStrictEqual({ KeyMetadata: metadata(key, state) })
  })

  test('tells when a key will be deleted', async () => {
    const key = await makeKey()
    const { DeletionDate } = await kms.scheduleKeyDeletion({ KeyId: key.id, PendingWindowInDays: 7 })
    expect(await answer(kms.describeKey({ KeyId: key.id }))).toStrictEqual({
      KeyMetadata: { ...metadata(key, 'PendingDeletion'), DeletionDate },
    })
  })

  test('returns the same CurrentKeyMaterialId every time, and another one for another key', async () => {
    const [one, two] = [await makeKey(), await makeKey()]
    const idOf = async (key: Key) => (await kms.describeKey({ KeyId: key.id })).KeyMetadata!.CurrentKeyMaterialId
    expect(await idOf(one)).toBe(await idOf(one))
    expect(await idOf(one)).not.toBe(await idOf(two))
  })
})
