import type { KMS } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { makeUser, policyOf } from './callers.ts'
import { answer, callerArn, encrypt, invalid, kms, makeAlias, makeKey, pendingDeletion, refusal } from './kms.ts'
import { NOT_PENDING, obeysKeyState, standingKey, takesKeyId } from './rules.ts'

const DAY_MS = 86_400_000

describe('ScheduleKeyDeletion', () => {
  takesKeyId(KeyId => kms.scheduleKeyDeletion({ KeyId }), { action: 'ScheduleKeyDeletion' })
  obeysKeyState(({ id }) => kms.scheduleKeyDeletion({ KeyId: id }), NOT_PENDING)

  test.each([
    ['7 days', 7, 7],
    ['30 days', 30, 30],
    ['30 days when nothing is said', undefined, 30],
  ])('waits %s', async (_, asked, days) => {
    const key = await makeKey()
    const due = Date.now() + days * DAY_MS
    const output = await answer(
      kms.scheduleKeyDeletion({ KeyId: key.id, ...(asked === undefined ? {} : { PendingWindowInDays: asked }) }),
    )
    expect(output).toStrictEqual({
      KeyId: key.arn,
      DeletionDate: expect.any(Date),
      KeyState: 'PendingDeletion',
      PendingWindowInDays: days,
    })
    expect(Math.abs(output.DeletionDate!.getTime() - due)).toBeLessThan(10_000)
    const { KeyMetadata } = await kms.describeKey({ KeyId: key.id })
    expect(KeyMetadata).toMatchObject({
      KeyState: 'PendingDeletion',
      Enabled: false,
      DeletionDate: output.DeletionDate,
    })
  })

  test.each([
    [0, invalid('pendingWindowInDays', '0', 'have value greater than or equal to 1')],
    [6, 'ValidationException: PendingWindowInDays must be between 7 and 30'],
    [31, 'ValidationException: PendingWindowInDays must be between 7 and 30'],
    [366, invalid('pendingWindowInDays', '366', 'have value less than or equal to 365')],
  ])('refuses to wait %d days', async (PendingWindowInDays, expected) => {
    const { id } = await standingKey()
    expect(await refusal(kms.scheduleKeyDeletion({ KeyId: id, PendingWindowInDays }))).toBe(expected)
  })

  const UNUSED_FOR = 'kms:TrailingDaysWithoutKeyUsage'
  test.each<[what: string, call: (client: KMS, KeyId: string) => Promise<unknown>]>([
    ['ScheduleKeyDeletion', (client, KeyId) => client.scheduleKeyDeletion({ KeyId })],
    ['DisableKey', (client, KeyId) => client.disableKey({ KeyId })],
  ])('and %s can be denied for keys that were used lately, or never since they were made', async (Action, call) => {
    const [used, unused, user] = [await makeKey(), await makeKey(), await makeUser()]
    await encrypt(used)
    for (const key of [used, unused]) {
      const put = (days: number) => {
        const Condition = { NumericLessThanEquals: { [UNUSED_FOR]: days } }
        const statements = [
          { Effect: 'Allow', Principal: { AWS: [callerArn, user.arn] }, Action: 'kms:*', Resource: '*' },
          { Effect: 'Deny', Principal: { AWS: user.arn }, Action: `kms:${Action}`, Resource: '*', Condition },
        ]
        return kms.putKeyPolicy({ KeyId: key.id, Policy: policyOf(...statements) })
      }
      await put(365)
      expect(await refusal(call(user.kms, key.id))).toMatch(/^AccessDeniedException: .* with an explicit deny/)
      // None of them was unused for less than no day.
      await put(-1)
      await call(user.kms, key.id)
    }
  })

  test('forbids the use of the key at once, and leaves its aliases and tags', async () => {
    const key = await makeKey()
    const alias = await makeAlias(key)
    await kms.tagResource({ KeyId: key.id, Tags: [{ TagKey: 'team', TagValue: 'billing' }] })
    const CiphertextBlob = await encrypt(key)
    await kms.scheduleKeyDeletion({ KeyId: key.id })
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe(pendingDeletion(key))
    expect(await refusal(kms.encrypt({ KeyId: alias, Plaintext: CiphertextBlob }))).toBe(pendingDeletion(key))
    expect((await kms.describeKey({ KeyId: alias })).KeyMetadata!.Arn).toBe(key.arn)
    expect((await kms.listResourceTags({ KeyId: key.id })).Tags).toHaveLength(1)
  })
})
