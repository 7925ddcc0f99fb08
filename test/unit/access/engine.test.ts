// biome-ignore-all lint/suspicious/noTemplateCurlyInString: policy variables look like that.
/** The examples of authz.md, each by itself, through the engine. */
import { describe, expect, it, test } from '@jest/globals'
import { compilePolicy, parsePolicy } from '../../../src/access/policy/parse.ts'
import { simulate } from '../../../src/access/simulation.ts'

const ACCOUNT = '111122223333'
const OTHER = '444455556666'
const KEY = `arn:aws:kms:us-east-1:${ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab`
const ROOT = `arn:aws:iam::${ACCOUNT}:root`
const USER = `arn:aws:iam::${ACCOUNT}:user/alice`
const ROLE = `arn:aws:iam::${ACCOUNT}:role/apps/app`
const SESSION = `arn:aws:sts::${ACCOUNT}:assumed-role/app/run`

const alice = { arn: USER, account: ACCOUNT, type: 'User' }
const session = { arn: SESSION, account: ACCOUNT, type: 'AssumedRole', roleArn: ROLE }
const root = { arn: ROOT, account: ACCOUNT, type: 'Account' }
const stranger = { arn: `arn:aws:iam::${OTHER}:user/mallory`, account: OTHER, type: 'User' }
const service = { arn: 'storage.amazonaws.com', account: null, type: 'Service' }

const policy = (...statements: object[]) => ({ Version: '2012-10-17', Statement: statements })
const allow = (more: object) => ({ Effect: 'Allow', Action: 'kms:*', Resource: '*', ...more })
const deny = (more: object) => ({ ...allow(more), Effect: 'Deny' })
const to = (AWS: unknown, more: object = {}) => allow({ Principal: { AWS }, ...more })
const DEFAULT = policy(to(ROOT))
const FULL = policy(allow({}))
const NOTHING = policy(allow({ Action: 's3:*' }))

interface Situation {
  principal?: object
  identityPolicies?: object[]
  boundary?: object
  sessionPolicies?: object[]
  keyPolicy?: object | null
  grants?: object[]
  action?: string
  context?: Record<string, string | string[]>
}

function decide(situation: Situation) {
  const keyArn = situation.keyPolicy === null ? null : KEY
  return simulate({ principal: alice, keyPolicy: DEFAULT, keyArn, action: 'kms:Encrypt', ...situation })
}

const outcome = (situation: Situation) => (decide(situation).allowed ? 'allowed' : 'denied')

describe('who is allowed', () => {
  test.each<[what: string, situation: Situation, expected: 'allowed' | 'denied']>([
    ['the root by the default policy', { principal: root }, 'allowed'],
    ['a user by the default policy alone', {}, 'denied'],
    [
      'a user to whom the account hands on what the default policy leaves to it',
      { identityPolicies: [FULL] },
      'allowed',
    ],
    [
      'a user by an identity policy that the key policy does not admit',
      { identityPolicies: [FULL], keyPolicy: policy(to(ROLE)) },
      'denied',
    ],
    [
      'the root of an account that the key policy does not name',
      { principal: root, keyPolicy: policy(to(USER)) },
      'denied',
    ],
    ['a user whom the key policy names', { keyPolicy: policy(to(USER)) }, 'allowed'],
    ['a user, when everybody is meant', { keyPolicy: policy(to('*')) }, 'allowed'],
    ['a session of a role that the key policy names', { principal: session, keyPolicy: policy(to(ROLE)) }, 'allowed'],
    ['a session that it names itself', { principal: session, keyPolicy: policy(to(SESSION)) }, 'allowed'],
    [
      'a service that it names',
      { principal: service, keyPolicy: policy(allow({ Principal: { Service: 'storage.amazonaws.com' } })) },
      'allowed',
    ],
    [
      'a service, when everybody is meant',
      { principal: service, keyPolicy: policy(allow({ Principal: '*' })) },
      'allowed',
    ],
    ['a service by the account', { principal: service, identityPolicies: [FULL] }, 'denied'],
    ['a user by the name in other case', { keyPolicy: policy(to(USER.replace('alice', 'Alice'))) }, 'denied'],
    [
      'nobody, by a statement about another key',
      { keyPolicy: policy(to(USER, { Resource: KEY.replace('1234abcd', '0000abcd') })) },
      'denied',
    ],
    ['a user by a statement about this very key', { keyPolicy: policy(to(USER, { Resource: KEY })) }, 'allowed'],
    [
      'a user by a statement without a resource',
      { keyPolicy: policy({ Effect: 'Allow', Principal: { AWS: USER }, Action: 'kms:*' }) },
      'allowed',
    ],
    ['everybody else, by NotPrincipal', { keyPolicy: policy(allow({ NotPrincipal: { AWS: ROLE } })) }, 'allowed'],
    ['whom NotPrincipal leaves out', { keyPolicy: policy(allow({ NotPrincipal: { AWS: USER } })) }, 'denied'],
    [
      'a session, when its list of session policies is empty',
      { principal: session, keyPolicy: policy(to(ROLE)), sessionPolicies: [] },
      'allowed',
    ],
    [
      'a session of a role without a path that the case does not name',
      {
        principal: { ...session, roleArn: null },
        keyPolicy: policy(
          to(ROLE.replace('apps/', ''), { Condition: { ArnLike: { 'aws:PrincipalArn': 'arn:aws:iam::*:role/*' } } }),
        ),
      },
      'allowed',
    ],
    [
      'a user whose account its ARN tells',
      { principal: { ...alice, account: null }, identityPolicies: [FULL] },
      'allowed',
    ],
    ['an action in other case', { keyPolicy: policy(to(USER, { Action: 'KMS:eNCRYPT' })) }, 'allowed'],
    ['an action by wildcards', { keyPolicy: policy(to(USER, { Action: 'kms:?nc*' })) }, 'allowed'],
    [
      'all actions but one',
      { keyPolicy: policy({ Effect: 'Allow', Principal: '*', NotAction: 'kms:Encrypt', Resource: '*' }) },
      'denied',
    ],
  ])('%s', (_, situation, expected) => expect(outcome(situation)).toBe(expected))
})

describe('an explicit denial', () => {
  const grants = [{ GranteePrincipal: USER, Operations: ['Encrypt'] }]
  test.each<[what: string, situation: Situation]>([
    ['in the key policy', { keyPolicy: policy(to(USER), deny({ Principal: { AWS: USER } })) }],
    [
      'of the account, for all of its principals',
      { keyPolicy: policy(to(USER), deny({ Principal: { AWS: ACCOUNT } })) },
    ],
    ['in an identity policy', { keyPolicy: policy(to(USER)), identityPolicies: [policy(deny({}))] }],
    ['in the boundary', { keyPolicy: policy(to(USER)), boundary: policy(deny({})) }],
    [
      'in a session policy',
      { principal: session, keyPolicy: policy(to(SESSION)), sessionPolicies: [policy(deny({}))] },
    ],
    ['beats a grant', { grants, identityPolicies: [policy(deny({}))] }],
  ])('%s', (_, situation) => {
    const decision = decide(situation)
    expect(decision.allowed).toBe(false)
    if (!decision.allowed) expect(decision.message).toContain('with an explicit deny in a')
  })
})

describe('a boundary or session policy that is silent', () => {
  const sessionPolicies = [NOTHING]
  test.each<[what: string, situation: Situation, expected: 'allowed' | 'denied']>([
    ['limits what the account hands on', { identityPolicies: [FULL], boundary: NOTHING }, 'denied'],
    ['limits what a role is allowed', { principal: session, keyPolicy: policy(to(ROLE)), sessionPolicies }, 'denied'],
    ['does not limit what a user is allowed by name', { keyPolicy: policy(to(USER)), boundary: NOTHING }, 'allowed'],
    [
      'does not limit what a session is allowed by name',
      { principal: session, keyPolicy: policy(to(SESSION)), sessionPolicies },
      'allowed',
    ],
    [
      'does not limit what everybody is allowed',
      { principal: session, keyPolicy: policy(to('*')), sessionPolicies },
      'allowed',
    ],
    [
      'session policies are a union',
      { principal: session, keyPolicy: policy(to(ROLE)), sessionPolicies: [NOTHING, FULL] },
      'allowed',
    ],
    [
      'limits account actions',
      { keyPolicy: null, action: 'kms:CreateKey', identityPolicies: [FULL], boundary: NOTHING },
      'denied',
    ],
  ])('%s', (_, situation, expected) => expect(outcome(situation)).toBe(expected))
})

describe('across accounts', () => {
  const trusting = policy(to(OTHER))
  test.each<[what: string, situation: Situation, expected: 'allowed' | 'denied']>([
    ['both sides', { keyPolicy: trusting, identityPolicies: [FULL] }, 'allowed'],
    ['the key policy alone', { keyPolicy: trusting }, 'denied'],
    ['the key policy alone, by name', { keyPolicy: policy(to(stranger.arn)) }, 'denied'],
    ['an identity policy alone', { identityPolicies: [FULL] }, 'denied'],
    [
      'an action that does not cross accounts',
      { keyPolicy: trusting, identityPolicies: [FULL], action: 'kms:PutKeyPolicy' },
      'denied',
    ],
    ['a grant by name', { grants: [{ GranteePrincipal: stranger.arn, Operations: ['Encrypt'] }] }, 'allowed'],
    ['a grant to the account alone', { grants: [{ GranteePrincipal: OTHER, Operations: ['Encrypt'] }] }, 'denied'],
    [
      'a grant to the account that hands it on',
      { grants: [{ GranteePrincipal: OTHER, Operations: ['Encrypt'] }], identityPolicies: [FULL] },
      'allowed',
    ],
  ])('%s', (_, situation, expected) => expect(outcome({ principal: stranger, ...situation })).toBe(expected))

  it('never says whether a key exists', () => {
    const decision = decide({ principal: stranger, keyPolicy: policy(to('*'), deny({ Principal: '*' })) })
    expect(decision).toMatchObject({ message: expect.stringContaining('the resource does not exist in this Region') })
  })
})

describe('a condition', () => {
  const met = (Condition: object, context: Situation['context'], more: object = {}) =>
    outcome({
      principal: { ...alice, tags: { team: 'red', 'cost center': 'blue' } },
      keyPolicy: policy(to(USER, { Condition, ...more })),
      context: context ?? {},
    }) === 'allowed'

  test.each<
    [operator: string, key: string, values: unknown, context: string | string[] | undefined, expected: boolean]
  >([
    ['StringEquals', 'kms:ViaService', ['a', 'b'], 'b', true],
    ['StringEquals', 'KMS:viaservice', 'a', 'a', true],
    ['StringEquals', 'kms:ViaService', 'a*', 'ab', false],
    ['StringEquals', 'kms:ViaService', 'a', undefined, false],
    ['StringNotEquals', 'kms:ViaService', ['a', 'b'], 'b', false],
    ['StringNotEquals', 'kms:ViaService', 'a', undefined, true],
    ['StringEqualsIfExists', 'kms:ViaService', 'a', undefined, true],
    ['StringEqualsIgnoreCase', 'kms:ViaService', 'A', 'a', true],
    ['StringLike', 'kms:ViaService', 's3.*.amazonaws.com', 's3.on-prem-1.amazonaws.com', true],
    ['StringLike', 'kms:ViaService', 'a?c', 'ac', false],
    ['StringLike', 'kms:EncryptionContext:mood', '?', '\u{1f600}', true],
    ['StringLike', 'kms:EncryptionContext:mood', '??', '\u{1f600}', false],
    ['StringLike', 'kms:EncryptionContext:mood', '*?x', '\u{1f600}x', true],
    ['StringNotLike', 'kms:ViaService', 'a*', 'b', true],
    ['NumericLessThanEquals', 'kms:ScheduleKeyDeletionPendingWindowInDays', 7, '7', true],
    ['NumericLessThanEquals', 'kms:TrailingDaysWithoutKeyUsage', 365, '365', true],
    ['NumericLessThanEquals', 'kms:TrailingDaysWithoutKeyUsage', 365, '366', false],
    ['NumericLessThan', 'kms:ScheduleKeyDeletionPendingWindowInDays', '10', '9', true],
    ['NumericEquals', 'kms:ScheduleKeyDeletionPendingWindowInDays', '7', '7.0', true],
    ['DateGreaterThan', 'aws:CurrentTime', '2026-01-01T00:00:00Z', '2026-01-01T01:00:00+02:00', false],
    ['DateLessThan', 'aws:CurrentTime', '1767225600', '2025-12-31T23:59:59Z', true],
    ['Bool', 'aws:SecureTransport', true, 'true', true],
    ['Bool', 'aws:SecureTransport', 'false', undefined, false],
    ['BoolIfExists', 'aws:MultiFactorAuthPresent', 'true', undefined, true],
    ['BinaryEquals', 'kms:EncryptionContext:bin', 'AAEC', 'AAEC', true],
    ['IpAddress', 'aws:SourceIp', '0.0.0.0/0', '203.0.113.9', true],
    ['IpAddress', 'aws:SourceIp', '203.0.113.9', '203.0.113.9', true],
    ['IpAddress', 'aws:SourceIp', '203.0.113.77/24', '203.0.113.9', true],
    ['IpAddress', 'aws:SourceIp', '2001:db8::/32', '2001:db8::9', true],
    ['IpAddress', 'aws:SourceIp', '0.0.0.0/0', '2001:db8::9', false],
    ['NotIpAddress', 'aws:SourceIp', '10.0.0.0/8', '203.0.113.9', true],
    ['ArnLike', 'aws:SourceArn', 'arn:aws:s3:::b*', 'arn:aws:s3:::bucket', true],
    ['ArnEquals', 'aws:SourceArn', 'arn:aws:*:bucket', 'arn:aws:s3:::bucket', false],
    ['Null', 'kms:ViaService', 'true', undefined, true],
    ['Null', 'kms:ViaService', 'false', undefined, false],
    ['ForAllValues:StringEquals', 'kms:GrantOperations', ['Encrypt', 'Decrypt'], ['Encrypt'], true],
    ['ForAllValues:StringEquals', 'kms:GrantOperations', ['Encrypt'], ['Encrypt', 'Sign'], false],
    ['ForAllValues:StringEquals', 'kms:GrantOperations', ['Encrypt'], undefined, true],
    ['ForAnyValue:StringEquals', 'kms:GrantOperations', ['Encrypt'], ['Encrypt', 'Sign'], true],
    ['ForAnyValue:StringEquals', 'kms:GrantOperations', ['Encrypt'], undefined, false],
    ['ForAnyValue:StringNotEquals', 'kms:GrantOperations', ['Encrypt'], [], false],
    ['StringEquals', 'kms:GrantOperations', 'Encrypt', ['Sign', 'Encrypt'], true],
    ['StringEquals', 'kms:EncryptionContext:APP', 'x', 'x', true],
  ])('%s of %s %j with %j: %j', (operator, key, values, context, expected) => {
    const name = key === 'KMS:viaservice' ? 'kms:ViaService' : key
    expect(met({ [operator]: { [key]: values } }, context === undefined ? {} : { [name]: context })).toBe(expected)
  })

  it('wants all operators and all keys', () => {
    const Condition = {
      StringEquals: { 'kms:ViaService': 'a', 'kms:CallerAccount': ACCOUNT },
      Bool: { 'aws:SecureTransport': 'true' },
    }
    expect(met(Condition, { 'kms:ViaService': 'a', 'aws:SecureTransport': 'true' })).toBe(true)
    expect(met(Condition, { 'kms:ViaService': 'a', 'aws:SecureTransport': 'false' })).toBe(false)
    expect(met(Condition, { 'kms:ViaService': 'b', 'aws:SecureTransport': 'true' })).toBe(false)
  })

  it.each([
    ['${aws:PrincipalTag/team}', 'red', true],
    ['${aws:PrincipalTag/none}', 'red', false],
    ["${aws:PrincipalTag/none, 'red'}", 'red', true],
    ['${aws:PrincipalTag/cost center}', 'blue', true],
    ["${ aws:PrincipalTag/cost center , 'red' }", 'blue', true],
    ['${*}', '*', true],
    ['${*}', 'red', false],
  ])('the variable %s for %s: %s', (value, given, expected) => {
    const context = { 'kms:ViaService': given }
    expect(met({ StringLike: { 'kms:ViaService': value } }, context)).toBe(expected)
  })

  it('knows no variable in documents of 2008', () => {
    const keyPolicy = {
      ...policy(to(USER, { Condition: { StringEquals: { 'kms:ViaService': '${aws:username}' } } })),
      Version: '2008-10-17',
    }
    expect(outcome({ keyPolicy, context: { 'kms:ViaService': 'alice' } })).toBe('denied')
    expect(outcome({ keyPolicy, context: { 'kms:ViaService': '${aws:username}' } })).toBe('allowed')
  })

  it('with a variable that has no value under a negated operator leaves the statement out', () => {
    expect(
      met({ StringNotEquals: { 'kms:ViaService': ['x', '${aws:PrincipalTag/none}'] } }, { 'kms:ViaService': 'y' }),
    ).toBe(false)
  })

  it('on keys that differ by case: an Allow needs all of them, a Deny one', () => {
    const Condition = { StringEquals: { 'kms:EncryptionContext:app': 'x' } }
    const context = { 'kms:EncryptionContext:app': 'x', 'kms:EncryptionContext:App': 'y' }
    expect(met(Condition, context)).toBe(false)
    expect(outcome({ keyPolicy: policy(to(USER), deny({ Principal: '*', Condition })), context })).toBe('denied')
  })

  it.each(['aws:ResourceTag/team', 'kms:ResourceAliases'])('on %s counts in identity policies only', key => {
    const Condition = { StringEquals: { [key]: 'x' } }
    const context = { [key]: 'x' }
    expect(met(Condition, context)).toBe(false)
    expect(outcome({ identityPolicies: [policy(allow({ Condition }))], context })).toBe('allowed')
  })
})

describe('a grant', () => {
  const lend = (grant: object, situation: Situation = {}) =>
    outcome({ grants: [{ GranteePrincipal: USER, Operations: ['Encrypt', 'DescribeKey'], ...grant }], ...situation })
  const context = { 'kms:EncryptionContext:app': 'x', 'kms:EncryptionContext:more': 'y' }
  const constrained = (Constraints: object) => ({ Constraints })

  test.each<[what: string, grant: object, situation: Situation, expected: 'allowed' | 'denied']>([
    ['for its operations', {}, {}, 'allowed'],
    ['for no other', {}, { action: 'kms:Decrypt' }, 'denied'],
    ['for a session of its role', { GranteePrincipal: ROLE }, { principal: session }, 'allowed'],
    ['for its session', { GranteePrincipal: SESSION }, { principal: session }, 'allowed'],
    ['for nobody else', { GranteePrincipal: ROLE }, {}, 'denied'],
    ['on another key', { KeyId: KEY.replace('1234abcd', '0000abcd') }, {}, 'denied'],
    ['Equals: this context', constrained({ EncryptionContextEquals: { app: 'x', more: 'y' } }), { context }, 'allowed'],
    ['Equals: more context', constrained({ EncryptionContextEquals: { app: 'x' } }), { context }, 'denied'],
    ['Subset: more context', constrained({ EncryptionContextSubset: { app: 'x' } }), { context }, 'allowed'],
    ['Subset: less context', constrained({ EncryptionContextSubset: { app: 'x' } }), {}, 'denied'],
    ['Subset: key in other case', constrained({ EncryptionContextSubset: { APP: 'x' } }), { context }, 'denied'],
    [
      'constraints are nothing to DescribeKey',
      constrained({ EncryptionContextEquals: { app: 'x' } }),
      { action: 'kms:DescribeKey' },
      'allowed',
    ],
    [
      'SourceArn: of another',
      constrained({ SourceArn: 'arn:aws:s3:::bucket' }),
      { context: { 'aws:SourceArn': 'arn:aws:s3:::b' } },
      'denied',
    ],
    [
      'SourceArn: of this',
      constrained({ SourceArn: 'arn:aws:s3:::bucket' }),
      { context: { 'aws:SourceArn': 'arn:aws:s3:::bucket' } },
      'allowed',
    ],
    [
      'constraints are not met by what has no encryption context',
      { Operations: ['GetPublicKey'], Constraints: { EncryptionContextSubset: { app: 'x' } } },
      { action: 'kms:GetPublicKey' },
      'denied',
    ],
    [
      'with members that are null',
      { RetiringPrincipal: null, GranteeServicePrincipal: null, Constraints: null, IssuingAccount: null },
      {},
      'allowed',
    ],
    [
      'to a role, beyond its session policy',
      { GranteePrincipal: ROLE },
      { principal: session, sessionPolicies: [NOTHING] },
      'denied',
    ],
    ['to a user, beyond its boundary', {}, { boundary: NOTHING }, 'allowed'],
  ])('%s', (_, grant, situation, expected) => expect(lend(grant, situation)).toBe(expected))

  const parent = { Operations: ['CreateGrant', 'Encrypt'], Constraints: { EncryptionContextSubset: { app: 'x' } } }
  const child = (operations: string[], type: string, pairs: Record<string, string>) => ({
    action: 'kms:CreateGrant',
    context: { 'kms:GrantOperations': operations, 'kms:GrantConstraintType': type, ...pairs },
  })
  test.each<[what: string, situation: Situation, expected: 'allowed' | 'denied']>([
    ['as strict', child(['Encrypt'], 'EncryptionContextSubset', { 'kms:EncryptionContext:app': 'x' }), 'allowed'],
    ['stricter', child(['Encrypt'], 'EncryptionContextEquals', context), 'allowed'],
    [
      'with more operations',
      child(['Decrypt'], 'EncryptionContextSubset', { 'kms:EncryptionContext:app': 'x' }),
      'denied',
    ],
    [
      'without the constraint',
      { action: 'kms:CreateGrant', context: { 'kms:GrantOperations': ['Encrypt'] } },
      'denied',
    ],
  ])('that makes another, %s', (_, situation, expected) => expect(lend(parent, situation)).toBe(expected))

  test.each<[who: string, grant: object, situation: Situation, expected: 'allowed' | 'denied']>([
    ['its retiring principal', { RetiringPrincipal: USER, GranteePrincipal: ROLE }, {}, 'allowed'],
    ['its grantee', {}, {}, 'denied'],
    ['its grantee that may', { Operations: ['Encrypt', 'RetireGrant'] }, {}, 'allowed'],
    ['the root of the issuing account', { IssuingAccount: ROOT }, { principal: root }, 'allowed'],
    ['a user to whom that account hands it on', { IssuingAccount: ROOT }, { identityPolicies: [FULL] }, 'allowed'],
    ['a user with kms:RetireGrant in an identity policy alone', {}, { identityPolicies: [FULL] }, 'denied'],
    ['a user with kms:RetireGrant in the key policy', {}, { keyPolicy: policy(to(USER)) }, 'denied'],
    [
      'its retiring principal, against a denial',
      { RetiringPrincipal: USER },
      { identityPolicies: [policy(deny({}))] },
      'denied',
    ],
  ])('is retired by %s', (_, grant, situation, expected) =>
    expect(lend(grant, { action: 'kms:RetireGrant', ...situation })).toBe(expected),
  )
})

describe('a key without a key policy', () => {
  const keyless = (more: object) => simulate({ principal: alice, keyArn: KEY, action: 'kms:Encrypt', ...more }).allowed

  it('is used by nobody but by a grant', () => {
    expect(keyless({ identityPolicies: [FULL] })).toBe(false)
    expect(keyless({ principal: root })).toBe(false)
    expect(keyless({ grants: [{ GranteePrincipal: USER, Operations: ['Encrypt'] }] })).toBe(true)
  })
})

describe('a policy is malformed', () => {
  const invalid = (why: string) => `The policy is not valid: ${why}.`
  const OVERLY = expect.stringMatching(/^OverlyPermissiveCondition/)
  test.each<[document: string, message: unknown]>([
    ['', invalid('it is not JSON')],
    ['[]', invalid('it is not a JSON object')],
    ['{}', invalid('it has no statement')],
    ['{"Statement":[],"Statement":[]}', invalid('it has "Statement" twice in one object')],
    [
      JSON.stringify({ ...DEFAULT, Version: '2020-01-01' }),
      invalid('its Version is neither 2012-10-17 nor 2008-10-17'),
    ],
    [JSON.stringify({ ...DEFAULT, Comment: 'x' }), invalid('a policy has no element "Comment"')],
    [JSON.stringify(policy(to(ROOT, { Conditions: {} }))), invalid('a statement has no element "Conditions"')],
    [
      JSON.stringify(policy(to(ROOT, { Effect: 'allow' }))),
      invalid('the Effect of a statement is neither Allow nor Deny'),
    ],
    [JSON.stringify(policy(allow({}))), invalid('a statement has no Principal')],
    [JSON.stringify(policy({ Effect: 'Allow', Principal: '*', Resource: '*' })), invalid('a statement has no Action')],
    [JSON.stringify(policy(to(ROOT, { NotAction: 'kms:*' }))), invalid('a statement has Action and NotAction')],
    [
      JSON.stringify(policy(to(ROOT, { Action: 'Encrypt' }))),
      invalid('an Action is neither "*" nor of the form service:name'),
    ],
    [
      JSON.stringify(policy(to(`arn:aws:iam::${ACCOUNT}:user/*`))),
      'Policy contains a statement with one or more invalid principals.',
    ],
    [
      JSON.stringify(policy(to(`arn:aws:iam::${ACCOUNT}:group/admins`))),
      'Policy contains a statement with one or more invalid principals.',
    ],
    [
      JSON.stringify(policy(to(ROOT, { Condition: { StringIs: { a: 'b' } } }))),
      invalid('"StringIs" is no condition operator'),
    ],
    [
      JSON.stringify(policy(to(ROOT, { Condition: { NullIfExists: { a: 'true' } } }))),
      invalid('"NullIfExists" is no condition operator'),
    ],
    [
      JSON.stringify(policy(to(ROOT, { Condition: { NumericEquals: { a: 'x' } } }))),
      invalid('a value of "NumericEquals a" is not of the operator\'s type'),
    ],
    [
      JSON.stringify(policy(to(ROOT, { Condition: { IpAddress: { a: '10.0.0.0/33' } } }))),
      invalid('a value of "IpAddress a" is not of the operator\'s type'),
    ],
    [
      JSON.stringify(
        policy(to(ROOT, { Condition: { 'ForAllValues:StringEquals': { 'kms:EncryptionContext:a': 'b' } } })),
      ),
      OVERLY,
    ],
    [
      JSON.stringify(policy(to(ROOT, { Condition: { 'ForAllValues:StringLike': { 'aws:RequestTag/a': 'b' } } }))),
      OVERLY,
    ],
  ])('%s', (document, message) => {
    expect(() => parsePolicy('key', 'p', document)).toThrow(expect.objectContaining({ name: 'PolicyFault', message }))
  })

  it('an identity policy with a principal or without a resource, a trust policy with a resource', () => {
    expect(() => compilePolicy('identity', 'p', DEFAULT)).toThrow('an identity policy has no Principal')
    expect(() => compilePolicy('identity', 'p', policy({ Effect: 'Allow', Action: '*' }))).toThrow('has no Resource')
    expect(() => compilePolicy('trust', 'p', DEFAULT)).toThrow('a trust policy has no Resource')
  })

  it('but one of many statements that repeat names in different objects is not', () => {
    expect(() => parsePolicy('key', 'p', JSON.stringify(policy(to(ROOT), to(ROOT, { Sid: 'a:{"b' }))))).not.toThrow()
  })
})

describe('a reason', () => {
  it('names the statements that decide', () => {
    const keyPolicy = policy(to(ROOT, { Sid: 'Enable IAM' }))
    expect(decide({ keyPolicy, identityPolicies: [FULL] }).reason).toBe(
      'the key policy, statement 1 ("Enable IAM"), which leaves it to the account, and identity policy 1, statement 1',
    )
    expect(decide({ grants: [{ GrantId: 'abc', GranteePrincipal: USER, Operations: ['Encrypt'] }] }).reason).toBe(
      'grant abc',
    )
  })

  it.each<[situation: Situation, message: string]>([
    [
      { keyPolicy: policy(to(ROLE)) },
      `on resource: ${KEY} because no resource-based policy allows the kms:Encrypt action`,
    ],
    [{}, `on resource: ${KEY} because no identity-based policy allows the kms:Encrypt action`],
    [{ keyPolicy: null, action: 'kms:CreateKey' }, 'because no identity-based policy allows the kms:CreateKey action'],
    [
      { identityPolicies: [FULL], boundary: NOTHING },
      `on resource: ${KEY} because no permissions boundary allows the kms:Encrypt action`,
    ],
    [{ identityPolicies: [policy(deny({}))] }, `on resource: ${KEY} with an explicit deny in an identity-based policy`],
    [
      { keyPolicy: policy(deny({ Principal: '*' })) },
      `on resource: ${KEY} with an explicit deny in a resource-based policy`,
    ],
  ])('is told in the words of AWS: %#', (situation, message) => {
    const { action = 'kms:Encrypt' } = situation
    expect(decide(situation)).toMatchObject({
      message: `User: ${USER} is not authorized to perform: ${action} ${message}`,
    })
  })
})
