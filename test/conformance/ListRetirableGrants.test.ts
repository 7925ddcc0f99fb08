import { describe, expect, test } from '@jest/globals'
import { FULL, makeStranger, makeUser } from './callers.ts'
import { accountId, answer, callerArn, kms, makeKey, refusal } from './kms.ts'
import { readPages } from './rules.ts'

describe('ListRetirableGrants', () => {
  test('lists the grants of a retiring principal, on whatever keys', async () => {
    const stranger = await makeStranger(FULL)
    const keys = [await makeKey(), await makeKey(), await makeKey()]
    const ids: string[] = []
    for (const { id: KeyId } of keys) {
      const made = await kms.createGrant({
        ...{ KeyId, GranteePrincipal: callerArn, RetiringPrincipal: stranger.arn, Operations: ['Encrypt'] },
      })
      ids.push(made.GrantId!)
    }
    const pages = await readPages(2, async page => {
      const { Grants: items, ...rest } = await stranger.kms.listRetirableGrants({
        RetiringPrincipal: stranger.arn,
        ...page,
      })
      return { items, ...rest }
    })
    expect(pages.flat().map(grant => grant.GrantId)).toEqual(ids.sort())
    expect(new Set(pages.flat().map(grant => grant.KeyId))).toEqual(new Set(keys.map(({ arn }) => arn)))
  })

  test.each([accountId, `arn:aws:iam::${accountId}:root`])('of the account, named %s', async RetiringPrincipal => {
    const { id: KeyId } = await makeKey()
    const terms = { GranteePrincipal: callerArn, RetiringPrincipal: accountId, Operations: ['Encrypt' as const] }
    const { GrantId } = await kms.createGrant({ KeyId, ...terms })
    const { Grants } = await kms.listRetirableGrants({ RetiringPrincipal, Limit: 100 })
    expect(Grants!.map(grant => grant.GrantId)).toContain(GrantId)
    await kms.revokeGrant({ KeyId, GrantId: GrantId! })
  })

  test('of none is empty', async () => {
    const user = await makeUser()
    expect(await answer(kms.listRetirableGrants({ RetiringPrincipal: user.arn }))).toStrictEqual({
      Grants: [],
      Truncated: false,
    })
  })

  test('asks for a principal of the caller’s account, and for the right', async () => {
    const [stranger, user] = [await makeStranger(), await makeUser()]
    expect(await refusal(kms.listRetirableGrants({ RetiringPrincipal: stranger.arn }))).toBe(
      'ValidationException: RetiringPrincipal must be a principal in your account.',
    )
    expect(await refusal(user.kms.listRetirableGrants({ RetiringPrincipal: user.arn }))).toBe(
      `AccessDeniedException: User: ${user.arn} is not authorized to perform: kms:ListRetirableGrants because no identity-based policy allows the kms:ListRetirableGrants action`,
    )
    expect(await refusal(kms.listRetirableGrants({ RetiringPrincipal: undefined } as never))).toBe(
      'ValidationException: You must specify either RetiringPrincipal or RetiringServicePrincipal.',
    )
  })
})
