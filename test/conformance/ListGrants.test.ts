import { describe, expect, test } from '@jest/globals'
import { makeUser } from './callers.ts'
import { accountId, answer, callerArn, kms, makeKey, refusal } from './kms.ts'
import { ANY_STATE, obeysKeyState, readPages, standingKey, takesKeyId } from './rules.ts'

describe('ListGrants', () => {
  takesKeyId(KeyId => kms.listGrants({ KeyId }), { action: 'ListGrants' })
  obeysKeyState(({ id }) => kms.listGrants({ KeyId: id }), ANY_STATE)

  test('tells all of a grant', async () => {
    const { id: KeyId, arn } = await makeKey()
    const { GrantId } = await kms.createGrant({
      ...{ KeyId, GranteePrincipal: accountId, RetiringPrincipal: callerArn, Operations: ['Encrypt'], Name: 'n' },
      Constraints: { EncryptionContextSubset: { app: 'x' } },
    })
    expect(await answer(kms.listGrants({ KeyId }))).toStrictEqual({
      Grants: [
        {
          KeyId: arn,
          GrantId,
          Name: 'n',
          CreationDate: expect.any(Date),
          GranteePrincipal: `arn:aws:iam::${accountId}:root`,
          RetiringPrincipal: callerArn,
          IssuingAccount: `arn:aws:iam::${accountId}:root`,
          Operations: ['Encrypt'],
          Constraints: { EncryptionContextSubset: { app: 'x' } },
        },
      ],
      Truncated: false,
    })
  })

  test('filters by grant and by grantee, and shows each once in pages', async () => {
    const [{ id: KeyId }, user] = [await makeKey(), await makeUser()]
    const lend = (GranteePrincipal: string) => kms.createGrant({ KeyId, GranteePrincipal, Operations: ['Encrypt'] })
    const { GrantId } = await lend(user.arn)
    for (let count = 0; count < 4; count++) await lend(callerArn)
    const ids = async (filter: object) =>
      (await kms.listGrants({ KeyId, ...filter })).Grants!.map(grant => grant.GrantId)
    expect(await ids({ GranteePrincipal: user.arn })).toEqual([GrantId])
    const toAccount = await lend(accountId)
    for (const GranteePrincipal of [accountId, `arn:aws:iam::${accountId}:root`])
      expect(await ids({ GranteePrincipal })).toEqual([toAccount.GrantId])
    await kms.revokeGrant({ KeyId, GrantId: toAccount.GrantId! })
    expect(await ids({ GrantId })).toEqual([GrantId])
    expect(await ids({ GrantId: '0'.repeat(64) })).toEqual([])
    const pages = await readPages(2, async page => {
      const { Grants: items, ...rest } = await kms.listGrants({ KeyId, ...page })
      return { items, ...rest }
    })
    expect(new Set(pages.flat().map(grant => grant.GrantId)).size).toBe(5)
  })

  test('refuses what is no grant id', async () => {
    const { id: KeyId } = await standingKey()
    expect(await refusal(kms.listGrants({ KeyId, GrantId: 'abc' }))).toBe(
      'InvalidGrantIdException: The grant id is not valid.',
    )
  })
})
