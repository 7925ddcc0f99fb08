import type { CreateGrantRequest } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { FULL, invisible, makeStranger, makeUser, notAllowed } from './callers.ts'
import { answer, callerArn, DRY_RUN, elsewhere, kms, makeKey, refusal } from './kms.ts'

async function lend(members: Partial<CreateGrantRequest>) {
  const key = await makeKey()
  const { GrantId = '', GrantToken = '' } = await kms.createGrant({
    ...{ KeyId: key.id, GranteePrincipal: callerArn, Operations: ['Encrypt'], ...members },
  })
  return { key, GrantId, GrantToken, KeyId: key.arn }
}

describe('RetireGrant', () => {
  test('gives a grant back by its token, and answers nothing', async () => {
    const user = await makeUser()
    const { GrantToken, KeyId } = await lend({ RetiringPrincipal: user.arn })
    expect(await refusal(user.kms.retireGrant({ GrantToken, DryRun: true }))).toBe(DRY_RUN)
    const { $metadata, ...members } = await user.kms.retireGrant({ GrantToken })
    expect(members).toStrictEqual({})
    expect((await answer(kms.listGrants({ KeyId }))).Grants).toEqual([])
    const gone = 'InvalidGrantTokenException: The grant token is not valid.'
    expect(await refusal(user.kms.retireGrant({ GrantToken }))).toBe(gone)
  })

  test('does not take a token of another region', async () => {
    const { GrantToken, KeyId } = await lend({})
    const invalid = 'InvalidGrantTokenException: The grant token is not valid.'
    expect(await refusal(elsewhere.retireGrant({ GrantToken }))).toBe(invalid)
    const { id } = await makeKey(elsewhere)
    expect(await refusal(elsewhere.describeKey({ KeyId: id, GrantTokens: [GrantToken] }))).toBe(invalid)
    expect((await kms.listGrants({ KeyId })).Grants).toHaveLength(1)
    await kms.retireGrant({ GrantToken })
  })

  test('and by the key and its id', async () => {
    const user = await makeUser()
    const { GrantId, KeyId } = await lend({ GranteePrincipal: user.arn, Operations: ['RetireGrant', 'Encrypt'] })
    await user.kms.retireGrant({ KeyId, GrantId })
    expect(await refusal(kms.retireGrant({ KeyId, GrantId }))).toBe(
      `NotFoundException: Grant ${GrantId} does not exist`,
    )
  })

  test('is not for a grantee that the grant does not let', async () => {
    const user = await makeUser(FULL)
    const grantee = await makeUser()
    const { GrantId, KeyId } = await lend({ GranteePrincipal: grantee.arn })
    const denied = notAllowed(grantee, 'RetireGrant', KeyId, 'resource-based')
    expect(await refusal(grantee.kms.retireGrant({ KeyId, GrantId }))).toBe(denied)
    // The issuing account hands it on to whom its identity policies allow it.
    await user.kms.retireGrant({ KeyId, GrantId })
  })

  test('on a foreign key tells nothing', async () => {
    const stranger = await makeStranger(FULL)
    const { GrantId, KeyId } = await lend({})
    const absent = KeyId.replace(/[0-9a-f]{12}$/, '000000000000')
    for (const asked of [
      { KeyId, GrantId },
      { KeyId, GrantId: '0'.repeat(64) },
      { KeyId: absent, GrantId },
    ]) {
      expect(await refusal(stranger.kms.retireGrant(asked))).toBe(invisible(stranger, 'RetireGrant'))
    }
  })

  const WHICH = 'ValidationException: You must specify either a GrantToken, or both a KeyId and a GrantId.'
  test.each([{}, { KeyId: 'a' }, { GrantId: 'a' }, { GrantToken: 'a', KeyId: 'a', GrantId: 'a' }])(
    'refuses %j',
    async asked => {
      expect(await refusal(kms.retireGrant(asked))).toBe(WHICH)
    },
  )
})
