import { describe, expect, test } from '@jest/globals'
import { makeUser, notAllowed } from './callers.ts'
import { answer, callerArn, DRY_RUN, kms, makeKey, refusal, text } from './kms.ts'
import { takesKeyId } from './rules.ts'

const lend = async (KeyId: string, GranteePrincipal = callerArn) =>
  (await kms.createGrant({ KeyId, GranteePrincipal, Operations: ['Encrypt'] })).GrantId!

describe('RevokeGrant', () => {
  // Another key's grant is no grant of this one, so the names of keys are tried with one that each of them has.
  takesKeyId(
    async KeyId => {
      const known = await kms
        .createGrant({ KeyId, GranteePrincipal: callerArn, Operations: ['Encrypt'] })
        .catch(() => undefined)
      return kms.revokeGrant({ KeyId, GrantId: known?.GrantId ?? '0'.repeat(64) })
    },
    { action: 'RevokeGrant' },
  )

  test('takes a grant back at once, and answers nothing', async () => {
    const [key, user] = [await makeKey(), await makeUser()]
    const GrantId = await lend(key.id, user.arn)
    const use = () => user.kms.encrypt({ KeyId: key.id, Plaintext: text('x') })
    await use()
    expect(await refusal(kms.revokeGrant({ KeyId: key.id, GrantId, DryRun: true }))).toBe(DRY_RUN)
    await use()
    expect(await answer(kms.revokeGrant({ KeyId: key.id, GrantId }))).toStrictEqual({})
    expect(await refusal(use())).toBe(notAllowed(user, 'Encrypt', key.arn))
    expect(await refusal(kms.revokeGrant({ KeyId: key.id, GrantId }))).toBe(
      `NotFoundException: Grant ${GrantId} does not exist`,
    )
  })

  test('does so on a disabled key and one that is pending deletion', async () => {
    const { id: KeyId } = await makeKey()
    const [first, second] = [await lend(KeyId), await lend(KeyId)]
    await kms.disableKey({ KeyId })
    await kms.revokeGrant({ KeyId, GrantId: first })
    await kms.scheduleKeyDeletion({ KeyId })
    await kms.revokeGrant({ KeyId, GrantId: second })
  })

  test('is not the grantee’s to do, nor for a grant of another key', async () => {
    const [key, other, user] = [await makeKey(), await makeKey(), await makeUser()]
    const GrantId = await lend(key.id, user.arn)
    expect(await refusal(user.kms.revokeGrant({ KeyId: key.id, GrantId }))).toBe(
      notAllowed(user, 'RevokeGrant', key.arn),
    )
    expect(await refusal(kms.revokeGrant({ KeyId: other.id, GrantId }))).toBe(
      `NotFoundException: Grant ${GrantId} does not exist`,
    )
    expect(await refusal(kms.revokeGrant({ KeyId: key.id, GrantId: 'abc' }))).toBe(
      'InvalidGrantIdException: The grant id is not valid.',
    )
  })
})
