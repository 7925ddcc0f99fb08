import { describe, expect, test } from '@jest/globals'
import { FULL, invisible, makeAgain, makeStranger, makeUser, notAllowed, policyOf } from './callers.ts'
import { accountId, answer, callerArn, kms, makeKey, OTHER_ACCOUNT, refusal, text } from './kms.ts'
import { ANY_STATE, obeysKeyState, takesKeyId } from './rules.ts'

const ROOT = `arn:aws:iam::${accountId}:root`
const statement = (AWS: unknown, Action: unknown = 'kms:*', more: object = {}) => ({
  ...{ Effect: 'Allow', Principal: { AWS }, Action, Resource: '*', ...more },
})
const DEFAULT = policyOf(statement(ROOT))
const INVALID_PRINCIPAL =
  'MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.'
const INVALID_ARN = 'InvalidArnException: An ARN in the specified key policy is invalid.'
const WITHOUT_RESOURCE = { Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*' }
const NO_RESOURCE = 'MalformedPolicyDocumentException: The policy is not valid: a statement has no Resource.'
const LOCKOUT =
  'MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.'

describe('PutKeyPolicy', () => {
  takesKeyId(KeyId => kms.putKeyPolicy({ KeyId, Policy: DEFAULT }), { action: 'PutKeyPolicy' })
  obeysKeyState(({ id }) => kms.putKeyPolicy({ KeyId: id, Policy: DEFAULT }), ANY_STATE)

  test('puts a policy that decides at once, and answers nothing', async () => {
    const [key, user] = [await makeKey(), await makeUser()]
    const use = () => user.kms.encrypt({ KeyId: key.id, Plaintext: text('x') })
    expect(await refusal(use())).toBe(notAllowed(user, 'Encrypt', key.arn))
    const Policy = policyOf(statement(ROOT), statement(user.arn, 'kms:Encrypt'))
    expect(await answer(kms.putKeyPolicy({ KeyId: key.id, PolicyName: 'default', Policy }))).toStrictEqual({})
    await use()
    await kms.putKeyPolicy({ KeyId: key.id, Policy: DEFAULT })
    expect(await refusal(use())).toBe(notAllowed(user, 'Encrypt', key.arn))
  })

  test('means the user who is there, not another who gets the name later', async () => {
    const [key, user] = [await makeKey(), await makeUser()]
    const Policy = policyOf(statement(ROOT), statement(user.arn, 'kms:Encrypt'))
    await kms.putKeyPolicy({ KeyId: key.id, Policy })
    const use = { KeyId: key.id, Plaintext: text('x') }
    await user.kms.encrypt(use)
    const namesake = await makeAgain(user)
    expect(namesake.arn).toBe(user.arn)
    expect(await refusal(namesake.kms.encrypt(use))).toBe(notAllowed(user, 'Encrypt', key.arn))
    await kms.putKeyPolicy({ KeyId: key.id, Policy })
    await namesake.kms.encrypt(use)
  })

  test('lets an application use a key for one encryption context and nothing else', async () => {
    const [key, user] = [await makeKey(), await makeUser()]
    const Condition = { StringEquals: { 'kms:EncryptionContext:app': 'orders' } }
    const Policy = policyOf(statement(ROOT), statement(user.arn, ['kms:Encrypt', 'kms:Decrypt'], { Condition }))
    await kms.putKeyPolicy({ KeyId: key.id, Policy })
    const EncryptionContext = { app: 'orders' }
    const encrypted = await user.kms.encrypt({ KeyId: key.id, Plaintext: text('x'), EncryptionContext })
    const { CiphertextBlob } = encrypted
    await user.kms.decrypt({ CiphertextBlob, EncryptionContext })
    const unnamed = { CiphertextBlob, EncryptionContext: { app: 'theft' } }
    expect(await refusal(user.kms.decrypt(unnamed))).toMatch(/^AccessDeniedException: The ciphertext refers to/)
    const both = { KeyId: key.id, Plaintext: text('x'), EncryptionContext: { app: 'orders', App: 'theft' } }
    expect(await refusal(user.kms.encrypt(both))).toBe(notAllowed(user, 'Encrypt', key.arn))
  })

  test('takes the account out: identity policies allow nothing then, and deny still', async () => {
    const [key, user] = [await makeKey(), await makeUser(FULL)]
    await user.kms.describeKey({ KeyId: key.id })
    await kms.putKeyPolicy({ KeyId: key.id, Policy: policyOf(statement(callerArn)) })
    expect(await refusal(user.kms.describeKey({ KeyId: key.id }))).toBe(
      notAllowed(user, 'DescribeKey', key.arn, 'resource-based'),
    )
    await kms.describeKey({ KeyId: key.id })
  })

  test('lets another account in, whose identity policy must agree', async () => {
    const [key, trusted, idle] = [await makeKey(), await makeStranger(FULL), await makeStranger()]
    expect(await refusal(trusted.kms.describeKey({ KeyId: key.arn }))).toBe(invisible(trusted, 'DescribeKey'))
    await kms.putKeyPolicy({ KeyId: key.id, Policy: policyOf(statement(ROOT), statement(OTHER_ACCOUNT)) })
    const { KeyMetadata } = await trusted.kms.describeKey({ KeyId: key.arn })
    expect(KeyMetadata?.AWSAccountId).toBe(accountId)
    const { CiphertextBlob } = await trusted.kms.encrypt({ KeyId: key.arn, Plaintext: text('x') })
    await trusted.kms.decrypt({ CiphertextBlob })
    expect(await refusal(idle.kms.describeKey({ KeyId: key.arn }))).toBe(invisible(idle, 'DescribeKey'))
    expect(await refusal(trusted.kms.disableKey({ KeyId: key.arn }))).toBe(invisible(trusted, 'DisableKey'))
  })

  test.each(['describeKey', 'encrypt'] as const)('%s: a foreign key and an absent one give one answer', async call => {
    const [key, stranger] = [await makeKey(), await makeStranger(FULL)]
    await kms.disableKey({ KeyId: key.id })
    const absent = key.arn.replace(/[0-9a-f]{12}$/, '000000000000')
    const operation = call === 'encrypt' ? 'Encrypt' : 'DescribeKey'
    for (const KeyId of [key.arn, absent]) {
      for (const GrantTokens of [undefined, []]) {
        const asked = { KeyId, Plaintext: text('x'), GrantTokens }
        expect(await refusal(stranger.kms[call](asked))).toBe(invisible(stranger, operation))
      }
      const dry = { KeyId, Plaintext: text('x'), DryRun: true }
      expect(await refusal(stranger.kms.encrypt(dry))).toBe(invisible(stranger, 'Encrypt'))
      const token = { KeyId, Plaintext: text('x'), GrantTokens: ['abc'] }
      expect(await refusal(stranger.kms.encrypt(token))).toMatch(/^InvalidGrantTokenException/)
    }
  })

  test.each<[what: string, policy: string, expected: string]>([
    ['a policy without a way back', policyOf(statement(callerArn, 'kms:Encrypt')), LOCKOUT],
    ['a policy that denies', policyOf(statement(ROOT), { ...statement('*'), Effect: 'Deny' }), LOCKOUT],
    [
      'a user who is not there',
      policyOf(statement([ROOT, `arn:aws:iam::${accountId}:user/nobody`])),
      INVALID_PRINCIPAL,
    ],
    ['a role that is not there', policyOf(statement([ROOT, `arn:aws:iam::${accountId}:role/none`])), INVALID_PRINCIPAL],
    ['all users', policyOf(statement([ROOT, `arn:aws:iam::${accountId}:user/*`])), INVALID_PRINCIPAL],
    ['a group', policyOf(statement([ROOT, `arn:aws:iam::${accountId}:group/admins`])), INVALID_ARN],
    ['a session of no name', policyOf(statement([ROOT, `arn:aws:sts::${accountId}:assumed-role/a`])), INVALID_ARN],
    ['an ARN of another service', policyOf(statement([ROOT, 'arn:aws:s3:::bucket'])), INVALID_ARN],
    ['what is no ARN', policyOf(statement([ROOT, 'somebody'])), INVALID_PRINCIPAL],
    ['a statement without Resource', policyOf(statement(ROOT), WITHOUT_RESOURCE), NO_RESOURCE],
    [
      'a statement with NotResource',
      policyOf(statement(ROOT), { ...WITHOUT_RESOURCE, NotResource: 'arn:aws:s3:::*' }),
      NO_RESOURCE,
    ],
    ['what is not JSON', 'allow', 'MalformedPolicyDocumentException: The policy is not valid: it is not JSON.'],
    ['32,769 bytes', DEFAULT.padEnd(32_769), 'LimitExceededException: The key policy is longer than 32768 bytes.'],
  ])('refuses %s', async (_, Policy, expected) => {
    const { id: KeyId } = await makeKey()
    expect(await refusal(kms.putKeyPolicy({ KeyId, Policy }))).toBe(expected)
    expect((await kms.getKeyPolicy({ KeyId })).Policy).toContain('key-default-1')
  })

  test('skips the lockout check when told to, unless a condition forbids it', async () => {
    const { id: KeyId } = await makeKey()
    const Condition = { Null: { 'kms:BypassPolicyLockoutSafetyCheck': 'false' } }
    const forbidding = policyOf(statement(ROOT), {
      ...statement('*', 'kms:PutKeyPolicy', { Condition }),
      Effect: 'Deny',
    })
    await kms.putKeyPolicy({ KeyId, Policy: forbidding })
    const Policy = policyOf(statement(callerArn, 'kms:GetKeyPolicy'))
    const bypassing = { KeyId, Policy, BypassPolicyLockoutSafetyCheck: true }
    expect(await refusal(kms.putKeyPolicy(bypassing))).toContain('with an explicit deny in a resource-based policy')
    await kms.putKeyPolicy({ KeyId, Policy: DEFAULT })
    await kms.putKeyPolicy(bypassing)
    expect((await kms.getKeyPolicy({ KeyId })).Policy).toBe(Policy)
  })

  test('knows no policy but default', async () => {
    const { id: KeyId } = await makeKey()
    const call = kms.putKeyPolicy({ KeyId, Policy: DEFAULT, PolicyName: 'other' })
    expect(await refusal(call)).toBe('ValidationException: The only valid policy name is default.')
  })
})
