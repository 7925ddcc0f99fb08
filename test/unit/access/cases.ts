// biome-ignore-all lint/suspicious/noTemplateCurlyInString: policy variables look like that.
/** Random cases for the engine: everything is drawn from few values, so that most cases are close calls. */
import fc from 'fast-check'
import type { Case } from './oracle.ts'

const [A, B] = ['111122223333', '444455556666'] as const
const KEY = `arn:aws:kms:us-east-1:${A}:key/1234abcd-12ab-34cd-56ef-1234567890ab`
const OTHER_KEY = `arn:aws:kms:us-east-1:${A}:key/0000abcd-12ab-34cd-56ef-1234567890ab`
const user = (account: string, name = 'alice') => `arn:aws:iam::${account}:user/team/${name}`
const role = (account: string) => `arn:aws:iam::${account}:role/apps/app`
const session = (account: string) => `arn:aws:sts::${account}:assumed-role/app/run`
const root = (account: string) => `arn:aws:iam::${account}:root`
const SERVICE = 'storage.amazonaws.com'

const pick = <T>(...values: readonly T[]) => fc.constantFrom(...values)
const maybe = <T>(value: fc.Arbitrary<T>, freq = 2) => fc.option(value, { nil: undefined, freq })
const oneOrMore = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof(value, fc.array(value, { minLength: 1, maxLength: 3 })) as fc.Arbitrary<T | T[]>

const accounts = pick(A, A, B)
const principals = accounts.chain(account =>
  fc
    .record(
      {
        kind: pick('User', 'User', 'AssumedRole', 'AssumedRole', 'Account', 'Service'),
        tags: pick({}, { team: 'red' }, { team: 'red', Team: 'blue' }, { team: 're*' }),
      },
      { requiredKeys: ['kind', 'tags'] },
    )
    .map(({ kind, tags }): Case['principal'] => {
      if (kind === 'User') return { arn: user(account), account, type: kind, tags }
      if (kind === 'Account') return { arn: root(account), account, type: kind, tags: {} }
      if (kind === 'Service') return { arn: SERVICE, account: null, type: kind }
      return { arn: session(account), account, type: kind, tags, roleArn: role(account) }
    }),
)

const actions = pick(
  ...['kms:Encrypt', 'kms:Encrypt', 'kms:Decrypt', 'kms:DescribeKey', 'kms:CreateGrant', 'kms:RetireGrant'],
  ...['kms:PutKeyPolicy', 'kms:ReEncryptFrom', 'kms:GetPublicKey'],
)
const actionGlobs = pick(
  'kms:*',
  '*',
  'kms:Encrypt',
  'KMS:encrypt',
  'kms:De*',
  'kms:?ncrypt',
  'kms:CreateGrant',
  'kms:RetireGrant',
  's3:*',
  'kms:Put*',
)
const awsNames = pick(...[A, B].flatMap(one => [one, root(one), user(one), role(one), session(one)]), user(A, 'bob'))
const principalElements = fc.oneof(
  pick<unknown>({ AWS: [root(A), root(B)] }, { AWS: [user(A), role(A), role(B)], Service: SERVICE }, { AWS: '*' }),
  pick<unknown>('*', { AWS: '*' }, { Service: SERVICE }, { Service: 'other.amazonaws.com' }, { AWS: root(A) }),
  oneOrMore(awsNames).map(AWS => ({ AWS })),
  oneOrMore(awsNames).map(AWS => ({ AWS, Service: [SERVICE] })),
)
const resources = pick(
  ...[
    '*',
    '*',
    '*',
    KEY,
    OTHER_KEY,
    `arn:aws:kms:*:${A}:key/*`,
    `arn:aws:kms:us-east-1:${A}:key/1234????-*`,
    `arn:aws:kms:*:${B}:*`,
  ],
  ...[
    "arn:aws:kms:us-east-1:111122223333:${aws:PrincipalTag/none, 'key'}/*",
    'arn:aws:kms:*:*:key/${aws:PrincipalTag/team}*',
  ],
)

const contextKeys = pick(
  ...[
    'kms:EncryptionContext:app',
    'kms:EncryptionContext:APP',
    'aws:PrincipalTag/team',
    'kms:ViaService',
    'aws:SourceIp',
  ],
  ...['aws:PrincipalArn', 'aws:username', 'kms:GrantOperations', 'kms:EncryptionContextKeys', 'aws:CurrentTime'],
  ...['kms:CallerAccount', 'aws:SecureTransport', 'kms:PendingWindow', 'aws:ResourceTag/team', 'kms:ResourceAliases'],
  ...['aws:PrincipalType', 'aws:RequestedRegion', 'aws:TagKeys'],
)
const mapKeys = pick('kms:EncryptionContext:app', 'kms:EncryptionContext:App', 'aws:PrincipalTag/team', 'aws:TagKeys')
const words = pick(
  ...[
    'x',
    'X',
    'y',
    'red',
    'blue',
    'Encrypt',
    'Decrypt',
    'app',
    'APP',
    'alice',
    'true',
    'false',
    'us-east-1',
    'User',
    A,
  ],
  ...[user(A), role(A), 's3.us-east-1.amazonaws.com'],
)
const globs = pick(
  ...[
    '*',
    'x*',
    '?',
    're?',
    '*e*',
    's3.*',
    '${aws:PrincipalTag/team}',
    '${aws:PrincipalTag/team}*',
    "${aws:username, 'x'}",
  ],
  ...['${*}', 'x${?}', '${kms:EncryptionContext:app}', '${aws:TagKeys}', `arn:aws:iam::*:user/*`],
)
const numbers = pick('1', '7', '7.0', '30', '-1', '1e1')
const dates = pick('2026-01-01T00:00:00Z', '2025-01-01', '1767225600', '2027-06-01T12:00:00+02:00')
const blocks = pick('10.0.0.0/8', '10.1.2.3', '0.0.0.0/0', '10.1.2.0/23', '192.168.0.0/16', '2001:db8::/32')

/** Operators, values for them, and a key that often has such a value. */
const families: readonly (readonly [names: string[], values: fc.Arbitrary<string>, key: fc.Arbitrary<string>])[] = [
  [
    [
      'StringEquals',
      'StringNotEquals',
      'StringEqualsIgnoreCase',
      'StringNotEqualsIgnoreCase',
      'StringLike',
      'StringNotLike',
    ],
    fc.oneof(words, globs),
    contextKeys,
  ],
  [['StringEquals', 'StringNotEquals', 'StringLike', 'StringNotLike'], fc.oneof(words, globs), mapKeys],
  [
    ['Equals', 'NotEquals', 'LessThan', 'LessThanEquals', 'GreaterThan', 'GreaterThanEquals'].map(
      name => `Numeric${name}`,
    ),
    numbers,
    pick('kms:PendingWindow'),
  ],
  [
    ['Equals', 'NotEquals', 'LessThan', 'LessThanEquals', 'GreaterThan', 'GreaterThanEquals'].map(
      name => `Date${name}`,
    ),
    dates,
    pick('aws:CurrentTime'),
  ],
  [['Bool'], pick('true', 'false', 'TRUE'), pick('aws:SecureTransport')],
  [['BinaryEquals'], pick('AAEC', 'eA=='), pick('kms:EncryptionContext:app')],
  [['IpAddress', 'NotIpAddress'], blocks, pick('aws:SourceIp')],
  [
    ['ArnEquals', 'ArnLike', 'ArnNotEquals', 'ArnNotLike'],
    fc.oneof(awsNames, pick('arn:aws:iam::*:role/*', `arn:aws:iam::${A}:*`, '*', 'arn:aws:s3:::bucket*')),
    pick('aws:PrincipalArn', 'aws:SourceArn'),
  ],
]
const valueCondition = fc.constantFrom(...families).chain(([names, values, key]) =>
  fc
    .record({
      set: pick('', '', '', 'ForAnyValue:', 'ForAllValues:'),
      name: fc.constantFrom(...names),
      ifExists: pick('', '', '', 'IfExists'),
      key: fc.oneof({ weight: 5, arbitrary: key }, { weight: 1, arbitrary: contextKeys }),
      values: oneOrMore(values),
    })
    .map(({ set, name, ifExists, key: chosen, values: given }) => [`${set}${name}${ifExists}`, chosen, given] as const),
)
const condition = fc.oneof(
  { weight: 8, arbitrary: valueCondition },
  {
    weight: 1,
    arbitrary: fc.tuple(contextKeys, pick('true', 'false')).map(([key, value]) => ['Null', key, value] as const),
  },
)
const conditions = fc.array(condition, { minLength: 1, maxLength: 2 }).map(all => {
  const block: Record<string, Record<string, unknown>> = {}
  for (const [operator, key, values] of all) block[operator] = { ...block[operator], [key]: values }
  return block
})

const versions = pick('2012-10-17', '2012-10-17', '2012-10-17', '2008-10-17', undefined)
const elements = (isKeyPolicy: boolean) =>
  fc
    .record({
      Effect: pick('Allow', 'Allow', 'Allow', 'Allow', 'Deny'),
      principal: principalElements,
      notPrincipal: fc.nat(19).map(chance => chance === 0),
      actions: fc.oneof(fc.constant('kms:*'), oneOrMore(actionGlobs)),
      notAction: fc.nat(19).map(chance => chance === 0),
      resources: maybe(fc.oneof(fc.constant('*'), oneOrMore(resources)), isKeyPolicy ? 3 : 99),
      notResource: fc.nat(19).map(chance => chance === 0),
      Condition: maybe(conditions, 3),
    })
    .map(({ Effect, principal, notPrincipal, actions, notAction, resources: given, notResource, Condition }) => {
      const named = given ?? (isKeyPolicy ? undefined : '*')
      // A key policy may not put ForAllValues on members of the encryption context.
      const block = Object.entries(Condition ?? {}).filter(
        ([operator, keys]) =>
          !isKeyPolicy ||
          !operator.startsWith('ForAllValues') ||
          !Object.keys(keys).some(key => /EncryptionContext:/.test(key)),
      )
      return {
        Effect,
        ...(isKeyPolicy ? { [notPrincipal ? 'NotPrincipal' : 'Principal']: principal } : {}),
        [notAction ? 'NotAction' : 'Action']: actions,
        ...(named === undefined ? {} : { [notResource ? 'NotResource' : 'Resource']: named }),
        ...(Condition === undefined ? {} : { Condition: Object.fromEntries(block) }),
      }
    })
const policies = (isKeyPolicy: boolean) =>
  fc
    .record({ Version: versions, Statement: fc.array(elements(isKeyPolicy), { minLength: 1, maxLength: 3 }) })
    .map(({ Version, Statement }) => ({ ...(Version === undefined ? {} : { Version }), Statement }))
const everything = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] }
const delegating = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { AWS: root(A) }, Action: 'kms:*', Resource: '*' }],
}

const constraints = pick<object | undefined>(
  ...[undefined, undefined, { EncryptionContextEquals: { app: 'x' } }, { EncryptionContextSubset: { app: 'x' } }],
  ...[{ SourceArn: 'arn:aws:s3:::bucket-of-examples' }, { EncryptionContextSubset: { app: 'x', APP: 'y' } }],
)
const grants = fc
  .record({
    grantee: pick(user(A), role(A), session(A), root(A), user(B), role(B), root(B), SERVICE, A),
    retiring: pick(undefined, user(A), root(B), role(A), SERVICE),
    Operations: fc.uniqueArray(
      pick('Encrypt', 'Decrypt', 'DescribeKey', 'GetPublicKey', 'CreateGrant', 'RetireGrant'),
      {
        minLength: 1,
      },
    ),
    Constraints: constraints,
    IssuingAccount: pick(root(A), root(B)),
  })
  .map(({ grantee, retiring, ...more }) => ({
    KeyId: KEY,
    GrantId: 'g',
    [grantee === SERVICE ? 'GranteeServicePrincipal' : 'GranteePrincipal']: grantee,
    ...(retiring && { [retiring === SERVICE ? 'RetiringServicePrincipal' : 'RetiringPrincipal']: retiring }),
    ...more,
  }))

const contexts = fc
  .record(
    {
      'kms:EncryptionContext:app': pick('x', 'x', 'X', 'y', 'eA=='),
      'kms:EncryptionContext:APP': pick('x', 'y'),
      'kms:EncryptionContext:more': pick('x'),
      'kms:ViaService': pick('s3.us-east-1.amazonaws.com'),
      'aws:SourceIp': pick('10.1.2.3', '192.168.1.1', '2001:db8::1', '10.1.3.9'),
      'kms:GrantOperations': pick(['Encrypt'], ['Encrypt', 'Decrypt'], [], ['Sign']),
      'kms:GrantConstraintType': pick('EncryptionContextEquals', 'EncryptionContextSubset'),
      'kms:EncryptionContextKeys': pick(['app'], ['app', 'APP'], []),
      'aws:CurrentTime': pick('2026-01-01T00:00:00Z', '2026-03-01T08:00:00Z'),
      'aws:SecureTransport': pick('true', 'false'),
      'aws:SourceArn': pick('arn:aws:s3:::bucket-of-examples', 'arn:aws:s3:::another-bucket-here'),
      'kms:PendingWindow': pick('7', '30'),
      'aws:ResourceTag/team': pick('red', 'blue'),
      'kms:ResourceAliases': pick(['alias/x'], ['x', 'y']),
      'aws:TagKeys': pick(['x'], ['x', 'y']),
    },
    { requiredKeys: ['aws:SourceIp', 'aws:CurrentTime', 'kms:PendingWindow'] },
  )
  .map(context => ({ ...context }) as Case['context'])

export const cases: fc.Arbitrary<Case> = fc
  .record({
    principal: principals,
    identityPolicies: fc.array(fc.oneof(policies(false), fc.constant(everything)), { maxLength: 2 }),
    boundary: fc.option(fc.oneof(policies(false), fc.constant(everything)), { freq: 2 }),
    sessionPolicies: fc.option(fc.array(fc.oneof(policies(false), fc.constant(everything)), { maxLength: 2 }), {
      freq: 2,
    }),
    keyPolicy: fc.option(fc.oneof(policies(true), policies(true), fc.constant(delegating)), { freq: 9 }),
    grants: fc.array(grants, { maxLength: 2 }),
    action: actions,
    context: contexts,
  })
  .map(one => ({
    ...one,
    boundary: one.principal.type === 'User' || one.principal.type === 'AssumedRole' ? one.boundary : null,
    sessionPolicies: one.principal.type === 'AssumedRole' ? one.sessionPolicies : null,
    keyArn: one.keyPolicy === null ? null : KEY,
  }))
