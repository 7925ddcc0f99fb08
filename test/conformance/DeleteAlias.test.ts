import { describe, expect, test } from '@jest/globals'
import {
  aliasArn,
  answer,
  encrypt,
  invalid,
  kms,
  makeAlias,
  makeKey,
  newAliasName,
  putInState,
  refusal,
} from './kms.ts'
import { WITHOUT_PREFIX } from './rules.ts'

const notFound = (name: string) => `NotFoundException: Alias ${aliasArn(name)} is not found.`

describe('DeleteAlias', () => {
  test.each(['Disabled', 'PendingDeletion'] as const)('takes an alias of a key that is %s', async state => {
    const key = await makeKey()
    const AliasName = await makeAlias(key)
    await putInState(key, state)
    expect(await answer(kms.deleteAlias({ AliasName }))).toStrictEqual({})
  })

  test('takes the name away at once, and leaves the key', async () => {
    const key = await makeKey()
    const AliasName = await makeAlias(key)
    const CiphertextBlob = await encrypt({ ...key, id: AliasName })
    expect(await answer(kms.deleteAlias({ AliasName }))).toStrictEqual({})
    expect(await refusal(kms.describeKey({ KeyId: AliasName }))).toBe(notFound(AliasName))
    expect((await kms.decrypt({ CiphertextBlob })).KeyId).toBe(key.arn)
  })

  test('a name can be used again', async () => {
    const AliasName = await makeAlias(await makeKey())
    await kms.deleteAlias({ AliasName })
    const next = await makeKey()
    await kms.createAlias({ AliasName, TargetKeyId: next.id })
    expect((await kms.describeKey({ KeyId: AliasName })).KeyMetadata!.Arn).toBe(next.arn)
  })

  const absent = newAliasName()
  test.each<[what: string, name: string | undefined, expected: string]>([
    ['an alias that does not exist', absent, notFound(absent)],
    ['a reserved name', 'alias/aws/s3', notFound('alias/aws/s3')],
    ['no name', undefined, invalid('aliasName', null, 'not be null')],
    ['a name without prefix', 'orders', WITHOUT_PREFIX],
    ['an alias ARN', aliasArn(absent), WITHOUT_PREFIX],
  ])('refuses %s', async (_, AliasName, expected) => {
    expect(await refusal(kms.deleteAlias({ AliasName }))).toBe(expected)
  })
})
