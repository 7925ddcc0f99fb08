import { describe, expect, test } from '@jest/globals'
import { accountId, answer, kms, makeKey, refusal } from './kms.ts'
import { ANY_STATE, obeysKeyState, standingKey, takesKeyId } from './rules.ts'

describe('GetKeyPolicy', () => {
  takesKeyId(KeyId => kms.getKeyPolicy({ KeyId }), { action: 'GetKeyPolicy' })
  obeysKeyState(({ id }) => kms.getKeyPolicy({ KeyId: id }), ANY_STATE)

  test('returns the default policy of a key that was made without one', async () => {
    const { id: KeyId } = await makeKey()
    const { Policy, PolicyName } = await answer(kms.getKeyPolicy({ KeyId }))
    expect(PolicyName).toBe('default')
    expect(JSON.parse(Policy!)).toEqual({
      Version: '2012-10-17',
      Id: 'key-default-1',
      Statement: [
        {
          Sid: 'Enable IAM User Permissions',
          Effect: 'Allow',
          Principal: { AWS: `arn:aws:iam::${accountId}:root` },
          Action: 'kms:*',
          Resource: '*',
        },
      ],
    })
  })

  test('returns a policy as it was given', async () => {
    const { id: KeyId } = await makeKey()
    const all = '"Action":"kms:*", "Resource":"*"'
    const Policy = ` { "Statement" : { "Effect":"Allow", "Principal":{"AWS":"${accountId}"}, ${all} } } `
    await kms.putKeyPolicy({ KeyId, Policy })
    expect(await answer(kms.getKeyPolicy({ KeyId, PolicyName: 'default' }))).toStrictEqual({
      Policy,
      PolicyName: 'default',
    })
  })

  test('knows no policy but default', async () => {
    const { id: KeyId } = await standingKey()
    expect(await refusal(kms.getKeyPolicy({ KeyId, PolicyName: 'other' }))).toBe(
      'NotFoundException: No such policy exists',
    )
  })
})
