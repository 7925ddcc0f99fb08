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
import { NOT_PENDING, NOT_TO_ALIASES, obeysKeyState, standingKey, takesKeyId, WITHOUT_PREFIX } from './rules.ts'

describe('UpdateAlias', () => {
  const update = async (TargetKeyId: string | undefined) =>
    kms.updateAlias({ AliasName: await makeAlias(await makeKey()), TargetKeyId })
  takesKeyId(update, { action: 'UpdateAlias', member: 'targetKeyId', aliases: NOT_TO_ALIASES })
  describe('as new target', () => obeysKeyState(({ id }) => update(id), NOT_PENDING))

  test('points an alias to another key at once', async () => {
    const [old, next] = [await makeKey(), await makeKey()]
    const AliasName = await makeAlias(old)
    const CiphertextBlob = await encrypt({ ...old, id: AliasName })
    expect(await answer(kms.updateAlias({ AliasName, TargetKeyId: next.id }))).toStrictEqual({})
    expect((await kms.describeKey({ KeyId: AliasName })).KeyMetadata!.Arn).toBe(next.arn)
    expect((await kms.decrypt({ CiphertextBlob })).KeyId).toBe(old.arn)
    expect(await refusal(kms.decrypt({ CiphertextBlob, KeyId: AliasName }))).toBe(
      'IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.',
    )
  })

  test('moves LastUpdatedDate and leaves CreationDate', async () => {
    const [old, next] = [await makeKey(), await makeKey()]
    const AliasName = await makeAlias(old)
    const [before] = (await kms.listAliases({ KeyId: old.id })).Aliases!
    await kms.updateAlias({ AliasName, TargetKeyId: next.id })
    expect((await kms.listAliases({ KeyId: old.id })).Aliases).toEqual([])
    const [after] = (await kms.listAliases({ KeyId: next.id })).Aliases!
    expect(after!.CreationDate).toEqual(before!.CreationDate)
    expect(after!.LastUpdatedDate!.getTime()).toBeGreaterThan(before!.LastUpdatedDate!.getTime())
  })

  test.each(['Disabled', 'PendingDeletion'] as const)('takes an alias away from a key that is %s', async state => {
    const old = await makeKey()
    const AliasName = await makeAlias(old)
    await putInState(old, state)
    const next = await makeKey()
    await kms.updateAlias({ AliasName, TargetKeyId: next.id })
    expect((await kms.describeKey({ KeyId: AliasName })).KeyMetadata!.Arn).toBe(next.arn)
  })

  test('a key that has 50 aliases gets no other, but those it has can be updated', async () => {
    const full = await makeKey()
    const names: string[] = []
    for (let count = 0; count < 50; count++) names.push(await makeAlias(full))
    expect(await refusal(update(full.id))).toBe(
      `LimitExceededException: ${full.arn} has 50 aliases; a key can have 50.`,
    )
    await kms.updateAlias({ AliasName: names[0], TargetKeyId: full.id })
  })

  const absent = newAliasName()
  const notFound = (name: string) => `NotFoundException: Alias ${aliasArn(name)} is not found.`
  test.each<[what: string, name: string | undefined, expected: string]>([
    ['an alias that does not exist', absent, notFound(absent)],
    ['a reserved name', 'alias/aws/s3', notFound('alias/aws/s3')],
    ['no name', undefined, invalid('aliasName', null, 'not be null')],
    ['a name without prefix', 'orders', WITHOUT_PREFIX],
    [
      'a name with a space',
      'alias/a b',
      invalid('aliasName', 'alias/a b', 'satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$'),
    ],
  ])('refuses %s', async (_, AliasName, expected) => {
    const { id } = await standingKey()
    expect(await refusal(kms.updateAlias({ AliasName, TargetKeyId: id }))).toBe(expected)
  })
})
