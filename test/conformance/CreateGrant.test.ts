import type { CreateGrantRequest } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { GRANT_OPERATION_NAMES } from '../../src/model/grant.ts'
import { FULL, makeAgain, makeStranger, makeUser, notAllowed } from './callers.ts'
import { accountId, answer, callerArn, kms, makeKey, refusal, text } from './kms.ts'
import { ONLY_ENABLED, obeysKeyState, standingKey, takesDryRun, takesKeyId } from './rules.ts'

const GRANT_ID = expect.stringMatching(/^[0-9a-f]{64}$/)
const TOKEN = expect.stringMatching(/^[\w-]{66}$/)

type Constraints = NonNullable<CreateGrantRequest['Constraints']>

describe('CreateGrant', () => {
  const create = (members: Partial<CreateGrantRequest>) =>
    kms.createGrant({ KeyId: undefined, GranteePrincipal: callerArn, Operations: ['Encrypt'], ...members })

  takesKeyId(KeyId => create({ KeyId }), { action: 'CreateGrant' })
  obeysKeyState(({ id }) => create({ KeyId: id }), ONLY_ENABLED)
  takesDryRun(members => create(members))

  test('lends a key for some operations, at once, with its token or without', async () => {
    const [key, user] = [await makeKey(), await makeUser()]
    const use = (GrantTokens?: string[]) => user.kms.encrypt({ KeyId: key.id, Plaintext: text('x'), GrantTokens })
    expect(await refusal(use())).toBe(notAllowed(user, 'Encrypt', key.arn))
    const made = await answer(create({ KeyId: key.id, GranteePrincipal: user.arn }))
    expect(made).toStrictEqual({ GrantId: GRANT_ID, GrantToken: TOKEN })
    const { CiphertextBlob } = await use()
    await use([made.GrantToken!])
    expect(await refusal(user.kms.decrypt({ CiphertextBlob, KeyId: key.id }))).toBe(
      notAllowed(user, 'Decrypt', key.arn),
    )
  })

  test('lends it to the user who is there, not to another who gets the name later', async () => {
    const [key, user] = [await makeKey(), await makeUser()]
    const lent = { KeyId: key.id, GranteePrincipal: user.arn, Name: 'once' }
    const { GrantId } = await create(lent)
    const use = { KeyId: key.id, Plaintext: text('x') }
    await user.kms.encrypt(use)
    const namesake = await makeAgain(user)
    expect(await refusal(namesake.kms.encrypt(use))).toBe(notAllowed(user, 'Encrypt', key.arn))
    expect((await create(lent)).GrantId).not.toBe(GrantId)
    await namesake.kms.encrypt(use)
  })

  test('lends it to another account’s user, by name', async () => {
    const [key, stranger] = [await makeKey(), await makeStranger()]
    await create({ KeyId: key.id, GranteePrincipal: stranger.arn })
    await stranger.kms.encrypt({ KeyId: key.arn, Plaintext: text('x') })
  })

  test('a token that is altered, of a retired grant, or none is refused to everybody alike', async () => {
    const [key, other, user] = [await makeKey(), await makeKey(), await makeUser()]
    const { GrantId, GrantToken = '' } = await create({ KeyId: key.id, GranteePrincipal: user.arn })
    const elsewhere = await create({ KeyId: other.id })
    const use = (client: typeof kms, token: string) =>
      client.encrypt({ KeyId: key.id, Plaintext: text('x'), GrantTokens: [token] })
    await use(kms, elsewhere.GrantToken!)
    await kms.revokeGrant({ KeyId: key.id, GrantId: GrantId! })
    const altered = `${elsewhere.GrantToken!.slice(0, -4)}AAAA`
    for (const token of [GrantToken, altered, `${elsewhere.GrantToken}=`, 'AQ']) {
      for (const client of [kms, user.kms]) {
        expect(await refusal(use(client, token))).toBe('InvalidGrantTokenException: The grant token is not valid.')
      }
    }
  })

  test.each([
    ['EncryptionContextSubset', { app: 'x', more: 'y' }, 'ok'],
    ['EncryptionContextSubset', { more: 'y' }, 'refused'],
    ['EncryptionContextSubset', { APP: 'x' }, 'refused'],
    ['EncryptionContextEquals', { app: 'x' }, 'ok'],
    ['EncryptionContextEquals', { app: 'x', more: 'y' }, 'refused'],
  ] as const)('%s app=x with %j: %s', async (constraint, EncryptionContext, expected) => {
    const [key, user] = [await standingKey(), await makeUser()]
    await create({ KeyId: key.id, GranteePrincipal: user.arn, Constraints: { [constraint]: { app: 'x' } } })
    const called = user.kms.encrypt({ KeyId: key.id, Plaintext: text('x'), EncryptionContext })
    if (expected === 'ok') await called
    else expect(await refusal(called)).toBe(notAllowed(user, 'Encrypt', key.arn))
  })

  test.each<[given: Constraints, kept: Constraints]>([
    [{ EncryptionContextEquals: { app: 'x' }, EncryptionContextSubset: {} }, { EncryptionContextEquals: { app: 'x' } }],
    [{ EncryptionContextEquals: {}, EncryptionContextSubset: { app: 'x' } }, { EncryptionContextSubset: { app: 'x' } }],
    [{ EncryptionContextEquals: {}, EncryptionContextSubset: {} }, { EncryptionContextEquals: {} }],
    [{ EncryptionContextEquals: {} }, { EncryptionContextEquals: {} }],
    [{ EncryptionContextSubset: {} }, { EncryptionContextSubset: {} }],
  ])('of %j keeps %j', async (Constraints, kept) => {
    const [{ id: KeyId, arn }, user] = [await makeKey(), await makeUser()]
    await create({ KeyId, GranteePrincipal: user.arn, Constraints })
    expect((await kms.listGrants({ KeyId })).Grants![0]!.Constraints).toEqual(kept)
    const use = (EncryptionContext?: Record<string, string>) =>
      user.kms.encrypt({ KeyId, Plaintext: text('x'), EncryptionContext })
    await use(kept.EncryptionContextEquals ?? kept.EncryptionContextSubset)
    if (kept.EncryptionContextSubset) await use({ ...kept.EncryptionContextSubset, more: 'y' })
    else expect(await refusal(use({ more: 'y' }))).toBe(notAllowed(user, 'Encrypt', arn))
  })

  test('a grant makes grants that lend no more', async () => {
    const [key, user, friend] = [await makeKey(), await makeUser(), await makeUser()]
    const Constraints = { EncryptionContextSubset: { app: 'x' } }
    await create({ KeyId: key.id, GranteePrincipal: user.arn, Operations: ['CreateGrant', 'Encrypt'], Constraints })
    const child = { KeyId: key.id, GranteePrincipal: friend.arn }
    await user.kms.createGrant({ ...child, Operations: ['Encrypt'], Constraints })
    const denied = notAllowed(user, 'CreateGrant', key.arn)
    expect(await refusal(user.kms.createGrant({ ...child, Operations: ['Decrypt'], Constraints }))).toBe(denied)
    expect(await refusal(user.kms.createGrant({ ...child, Operations: ['Encrypt'] }))).toBe(denied)
  })

  test('with a name is made once', async () => {
    const { id: KeyId } = await makeKey()
    const first = await create({ KeyId, Name: 'one', Operations: ['Encrypt', 'Decrypt'] })
    const again = await create({ KeyId, Name: 'one', Operations: ['Decrypt', 'Encrypt'] })
    expect(again.GrantId).toBe(first.GrantId)
    expect((await create({ KeyId, Name: 'one' })).GrantId).not.toBe(first.GrantId)
    expect((await create({ KeyId })).GrantId).not.toBe((await create({ KeyId })).GrantId)
    expect((await kms.listGrants({ KeyId })).Grants).toHaveLength(4)
  })

  test('a dry run makes none', async () => {
    const { id: KeyId } = await makeKey()
    await refusal(create({ KeyId, DryRun: true }))
    expect((await kms.listGrants({ KeyId })).Grants).toEqual([])
  })

  const nobody = `arn:aws:iam::${accountId}:user/nobody`
  const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 'v']))
  const validation = (message: string) => `ValidationException: ${message}`
  test.each<[what: string, members: Partial<CreateGrantRequest>, expected: string]>([
    [
      'a grantee who is not there',
      { GranteePrincipal: nobody },
      `InvalidArnException: ARN does not refer to a valid principal: ${nobody}`,
    ],
    [
      'a retiring principal who is not there',
      { RetiringPrincipal: nobody },
      `InvalidArnException: ARN does not refer to a valid principal: ${nobody}`,
    ],
    [
      'no grantee',
      { GranteePrincipal: undefined },
      validation('You must specify either GranteePrincipal or GranteeServicePrincipal.'),
    ],
    [
      'operations that the key cannot do',
      { Operations: ['Sign'] },
      validation('Operation Sign is not valid for a SYMMETRIC_DEFAULT key with usage ENCRYPT_DECRYPT.'),
    ],
    [
      'an operation that there is not',
      { Operations: ['Foo' as 'Encrypt'] },
      validation(
        `1 validation error detected: Value '[Foo]' at 'operations' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [${GRANT_OPERATION_NAMES.join(', ')}]]`,
      ),
    ],
    [
      'the making of grants alone',
      { Operations: ['CreateGrant'] },
      validation('Grants must not contain only the CreateGrant operation.'),
    ],
    [
      'nine pairs',
      { Constraints: { EncryptionContextEquals: pairs(9) } },
      validation('A grant constraint has at most 8 pairs.'),
    ],
    [
      'a long value',
      { Constraints: { EncryptionContextEquals: { a: 'v'.repeat(385) } } },
      validation('A value in a grant constraint has at most 384 characters.'),
    ],
    [
      'two constraints',
      { Constraints: { EncryptionContextEquals: pairs(1), EncryptionContextSubset: pairs(1) } },
      validation('More than one constraint supplied'),
    ],
    [
      'a service without its terms',
      { GranteePrincipal: undefined, GranteeServicePrincipal: 's3.amazonaws.com' },
      validation('A grant with a GranteeServicePrincipal must have a SourceArn constraint and a retiring principal.'),
    ],
  ])('refuses %s', async (_, members, expected) => {
    const { id: KeyId } = await standingKey()
    expect(await refusal(create({ KeyId, ...members }))).toBe(expected)
  })

  test('can be limited by conditions on what it lends', async () => {
    const condition = { 'ForAllValues:StringEquals': { 'kms:GrantOperations': ['Encrypt'] } }
    const limited = JSON.parse(FULL)
    limited.Statement[0].Condition = condition
    const [key, user] = [await makeKey(), await makeUser(JSON.stringify(limited))]
    const lend = (Operations: CreateGrantRequest['Operations']) =>
      user.kms.createGrant({ KeyId: key.id, GranteePrincipal: user.arn, Operations })
    await lend(['Encrypt'])
    expect(await refusal(lend(['Encrypt', 'Decrypt']))).toBe(notAllowed(user, 'CreateGrant', key.arn))
  })
})
