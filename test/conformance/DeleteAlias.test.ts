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

  const outcome = (call: Promise<unknown>) =>
    call.then(
      () => 'ok',
      (error: Error) => error.name,
    )

  test('of many at once, one takes it away, and the others find none', async () => {
    for (let round = 0; round < 5; round += 1) {
      const AliasName = await makeAlias(await makeKey())
      const outcomes = await Promise.all(Array.from({ length: 6 }, () => outcome(kms.deleteAlias({ AliasName }))))
      expect(outcomes.toSorted()).toEqual([...Array(5).fill('NotFoundException'), 'ok'])
    }
  })

  test('at once with CreateAlias and UpdateAlias, each does it or says why not', async () => {
    const [key, other] = [await makeKey(), await makeKey()]
    for (let round = 0; round < 5; round += 1) {
      const AliasName = await makeAlias(key)
      const [deleted, created, updated] = await Promise.all([
        outcome(kms.deleteAlias({ AliasName })),
        outcome(kms.createAlias({ AliasName, TargetKeyId: other.id })),
        outcome(kms.updateAlias({ AliasName, TargetKeyId: other.id })),
      ])
      expect(deleted).toBe('ok')
      expect(['ok', 'AlreadyExistsException']).toContain(created)
      expect(['ok', 'NotFoundException']).toContain(updated)
      const { Aliases } = await kms.listAliases({ KeyId: other.id })
      expect(Aliases!.some(alias => alias.AliasName === AliasName)).toBe(created === 'ok')
      if (created === 'ok') await kms.deleteAlias({ AliasName })
    }
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
