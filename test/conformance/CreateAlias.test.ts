import { describe, expect, test } from '@jest/globals'
import { aliasArn, answer, elsewhere, invalid, kms, makeAlias, makeKey, newAliasName, refusal } from './kms.ts'
import { NOT_PENDING, NOT_TO_ALIASES, obeysKeyState, standingKey, takesKeyId, WITHOUT_PREFIX } from './rules.ts'

describe('CreateAlias', () => {
  takesKeyId(TargetKeyId => kms.createAlias({ AliasName: newAliasName(), TargetKeyId }), {
    action: 'CreateAlias',
    member: 'targetKeyId',
    aliases: NOT_TO_ALIASES,
  })
  obeysKeyState(({ id }) => kms.createAlias({ AliasName: newAliasName(), TargetKeyId: id }), NOT_PENDING)

  test('gives a key a name that works at once', async () => {
    const key = await makeKey()
    const AliasName = newAliasName()
    expect(await answer(kms.createAlias({ AliasName, TargetKeyId: key.arn }))).toStrictEqual({})
    expect((await kms.describeKey({ KeyId: AliasName })).KeyMetadata!.Arn).toBe(key.arn)
  })

  test.each(['/deep/er/', '_-', '-A9', 'a'.repeat(200)])('takes the characters %s', async characters => {
    const AliasName = newAliasName() + characters
    await kms.createAlias({ AliasName, TargetKeyId: (await standingKey()).id })
    expect((await kms.describeKey({ KeyId: AliasName })).KeyMetadata!.Arn).toBe((await standingKey()).arn)
  })

  const pattern = 'satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$'
  const reserved = 'InvalidAliasNameException: Alias names that begin with alias/aws/ are reserved.'
  const long = `alias/${'a'.repeat(251)}`
  test.each<[what: string, name: string | undefined, expected: string]>([
    ['no name', undefined, invalid('aliasName', null, 'not be null')],
    ['a name without prefix', 'orders', WITHOUT_PREFIX],
    [
      'the prefix alone',
      'alias/',
      'ValidationException: An alias name must have at least one character after "alias/".',
    ],
    ['a reserved name', 'alias/aws/s3', reserved],
    [
      'a name with a colon',
      'alias/a:b',
      'InvalidAliasNameException: alias/a:b contains invalid characters for an alias',
    ],
    ['a name with a space', 'alias/a b', invalid('aliasName', 'alias/a b', pattern)],
    ['a name beyond ASCII', 'alias/é', invalid('aliasName', 'alias/é', pattern)],
    ['257 characters', long, invalid('aliasName', long, 'have length less than or equal to 256')],
  ])('refuses %s', async (_, AliasName, expected) => {
    const { id } = await standingKey()
    expect(await refusal(kms.createAlias({ AliasName, TargetKeyId: id }))).toBe(expected)
  })

  test('refuses a name that is taken, by the same key or another, and leaves it as it was', async () => {
    const key = await makeKey()
    const AliasName = await makeAlias(key)
    const taken = `AlreadyExistsException: An alias with the name ${aliasArn(AliasName)} already exists`
    for (const TargetKeyId of [key.id, (await makeKey()).id]) {
      expect(await refusal(kms.createAlias({ AliasName, TargetKeyId }))).toBe(taken)
    }
    expect((await kms.describeKey({ KeyId: AliasName })).KeyMetadata!.Arn).toBe(key.arn)
  })

  test('tells capitals from small letters, and one region from another', async () => {
    const key = await makeKey()
    const AliasName = await makeAlias(key)
    await kms.createAlias({ AliasName: AliasName.replace('test', 'TEST'), TargetKeyId: key.id })
    const other = await makeKey(elsewhere)
    await elsewhere.createAlias({ AliasName, TargetKeyId: other.id })
    expect((await elsewhere.describeKey({ KeyId: AliasName })).KeyMetadata!.Arn).toBe(other.arn)
    expect((await kms.describeKey({ KeyId: AliasName })).KeyMetadata!.Arn).toBe(key.arn)
  })

  test('gives a key 50 names and no more', async () => {
    const key = await makeKey()
    for (let count = 0; count < 50; count++) await makeAlias(key)
    expect(await refusal(makeAlias(key))).toBe(`LimitExceededException: ${key.arn} has 50 aliases; a key can have 50.`)
  })
})
