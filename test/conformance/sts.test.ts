/**
 * STS on the endpoint of KMS, by Debian's AWS CLI and boto3: who calls, roles assumed on the terms of their trust policies,
 * and what temporary credentials may do.
 */
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { askDaemon } from '../../src/cli/admin-client.ts'
import { readMetrics, sumOf } from '../support/metrics.ts'
import { awsEnvironment, type Finished, run, runAwsCli } from '../support/sandbox.ts'
import { accountId, callerArn, region, sandbox } from './kms.ts'
import { type Draft, send } from './raw.ts'

const FORM = 'application/x-www-form-urlencoded; charset=utf-8'
const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/'
const stamp = `${process.pid}-${Date.now()}`
const role = (name: string) => `${name}-${stamp}`
const roleArn = (name: string) => `arn:aws:iam::${accountId}:role/apps/${role(name)}`

interface Credentials {
  readonly AccessKeyId: string
  readonly SecretAccessKey: string
  readonly SessionToken: string
  readonly Expiration?: string
}

function ask(name: Parameters<typeof askDaemon>[1], body: object): Promise<unknown> {
  return askDaemon(`${sandbox.dir}/admin.sock`, name, { account: accountId, ...body } as never)
}

function trust(statement: object) {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: 'sts:AssumeRole', ...statement }],
  })
}

const FULL_ACCESS = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'kms:*', Resource: '*' }],
})

beforeAll(async () => {
  const make = async (name: string, statement: object, more: object = {}) => {
    const body = { kind: 'role', name: role(name), path: '/apps/', trustPolicy: trust(statement), ...more }
    await ask('identity/create', body)
  }
  const me = { Principal: { AWS: callerArn } }
  await make(
    'open',
    { ...me, Action: ['sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'] },
    { fullAccess: true },
  )
  await make('external', { ...me, Condition: { StringEquals: { 'sts:ExternalId': 'secret-handshake' } } })
  await ask('identity/create', { name: role('somebody') })
  await make('stranger', { Principal: { AWS: `arn:aws:iam::${accountId}:user/${role('somebody')}` } })
  const session = `arn:aws:sts::${accountId}:assumed-role/${role('open')}/first`
  await make('chained', { Principal: { AWS: session } }, { sessionSecondsMax: 43_200 })
})

const clients: KMS[] = []
afterAll(() => {
  for (const client of clients) client.destroy()
})

function kmsOf(credentials: Credentials): KMS {
  const { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey, SessionToken: sessionToken } = credentials
  const identity = { accessKeyId, secretAccessKey, sessionToken }
  const client = new KMS({ endpoint: sandbox.endpoint, region, credentials: identity, maxAttempts: 1 })
  clients.push(client)
  return client
}

/** The AWS CLI with temporary credentials. */
function awsAs(credentials: Credentials, args: readonly string[]): Promise<Finished> {
  const env = {
    ...awsEnvironment(sandbox),
    AWS_ACCESS_KEY_ID: credentials.AccessKeyId,
    AWS_SECRET_ACCESS_KEY: credentials.SecretAccessKey,
    AWS_SESSION_TOKEN: credentials.SessionToken,
  }
  return run('/usr/bin/aws', ['--endpoint-url', sandbox.endpoint, '--output', 'json', ...args], env)
}

async function printed(call: Promise<Finished>) {
  const { code, stdout, stderr } = await call
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

async function refused(call: Promise<Finished>): Promise<string> {
  const { code, stderr } = await call
  expect(code).toBe(254)
  return stderr.trim()
}

const sts = (...args: string[]) => runAwsCli(sandbox, ['sts', ...args])
const assume = (name: string, ...args: string[]) =>
  sts('assume-role', '--role-arn', roleArn(name), '--role-session-name', 'first', ...args)

/** A request to STS below the CLI. */
function query(parameters: Readonly<Record<string, string>>, draft: Draft = {}) {
  const body = new URLSearchParams({ Version: '2011-06-15', ...parameters }).toString()
  const headers = { 'content-type': FORM, 'x-amz-target': undefined, ...draft.headers }
  return send({ service: 'sts', ...draft, body, headers })
}

const codeOf = (text: string) => /<Code>(\w+)<\/Code>/.exec(text)?.[1]

describe('GetCallerIdentity', () => {
  test('says who a user is', async () => {
    expect(await printed(sts('get-caller-identity'))).toEqual({
      UserId: expect.stringMatching(/^AIDA[A-Z2-7]{17}$/),
      Account: accountId,
      Arn: callerArn,
    })
  })

  test('needs no permission', async () => {
    await ask('identity/create', { name: role('nobody') })
    const made = (await ask('access-key/create', { name: role('nobody') })) as Record<string, string>
    const credentials = { AccessKeyId: made.accessKeyId!, SecretAccessKey: made.secretAccessKey!, SessionToken: '' }
    const { Arn } = await printed(awsAs(credentials, ['sts', 'get-caller-identity']))
    expect(Arn).toBe(`arn:aws:iam::${accountId}:user/${role('nobody')}`)
  })

  test('says who an account root is', async () => {
    const { accessKeyId, secretAccessKey } = (await ask('access-key/create', { kind: 'root', name: 'root' })) as {
      accessKeyId: string
      secretAccessKey: string
    }
    const reply = await query({ Action: 'GetCallerIdentity' }, { accessKeyId, secretAccessKey })
    expect(reply.text).toContain(`<Arn>arn:aws:iam::${accountId}:root</Arn>`)
    expect(reply.text).toContain(`<UserId>${accountId}</UserId>`)
    await ask('access-key/delete', { kind: 'root', name: 'root', accessKeyId })
  })

  test('is answered in the XML that AWS sends', async () => {
    const { status, headers, text } = await query({ Action: 'GetCallerIdentity' })
    expect({ status, type: headers['content-type'] }).toEqual({ status: 200, type: 'text/xml' })
    const id = headers['x-amzn-requestid']
    expect(text.replace(/<UserId>\w+/, '<UserId>…')).toBe(
      `<GetCallerIdentityResponse xmlns="${NAMESPACE}"><GetCallerIdentityResult><UserId>…</UserId><Account>${accountId}</Account><Arn>${callerArn}</Arn></GetCallerIdentityResult><ResponseMetadata><RequestId>${id}</RequestId></ResponseMetadata></GetCallerIdentityResponse>\n`,
    )
  })
})

describe('AssumeRole', () => {
  test('gives credentials that call KMS as the role', async () => {
    const answer = await printed(assume('open'))
    const sessionArn = `arn:aws:sts::${accountId}:assumed-role/${role('open')}/first`
    expect(answer).toEqual({
      AssumedRoleUser: { AssumedRoleId: expect.stringMatching(/^AROA[A-Z2-7]{17}:first$/), Arn: sessionArn },
      Credentials: {
        AccessKeyId: expect.stringMatching(/^ASIA[A-Z2-7]{16}$/),
        SecretAccessKey: expect.stringMatching(/^[A-Za-z0-9+/]{40}$/),
        SessionToken: expect.stringMatching(/^[\w-]{200,}$/),
        Expiration: expect.any(String),
      },
    })
    const hour = Date.parse(answer.Credentials.Expiration) - Date.now()
    expect(Math.abs(hour - 3_600_000)).toBeLessThan(60_000)
    const kms = kmsOf(answer.Credentials)
    const { KeyMetadata } = await kms.createKey({})
    expect(KeyMetadata?.AWSAccountId).toBe(accountId)
    const identity = await printed(awsAs(answer.Credentials, ['sts', 'get-caller-identity']))
    expect(identity).toEqual({
      ...{ Account: accountId, Arn: sessionArn, UserId: answer.AssumedRoleUser.AssumedRoleId },
    })
    const listed = await printed(awsAs(answer.Credentials, ['kms', 'describe-key', '--key-id', KeyMetadata!.KeyId!]))
    expect(listed.KeyMetadata.KeyId).toBe(KeyMetadata!.KeyId)
  })

  test('wants the external id that the trust policy asks for', async () => {
    const denied = `An error occurred (AccessDenied) when calling the AssumeRole operation: User: ${callerArn} is not authorized to perform: sts:AssumeRole on resource: ${roleArn('external')}`
    expect(await refused(assume('external'))).toBe(denied)
    expect(await refused(assume('external', '--external-id', 'guessed'))).toBe(denied)
    expect(await printed(assume('external', '--external-id', 'secret-handshake'))).toHaveProperty('Credentials')
  })

  test('refuses strangers, and roles that do not exist, in the same words', async () => {
    for (const name of ['stranger', 'absent'])
      expect(await refused(assume(name))).toBe(
        `An error occurred (AccessDenied) when calling the AssumeRole operation: User: ${callerArn} is not authorized to perform: sts:AssumeRole on resource: ${roleArn(name)}`,
      )
  })

  test('limits a session by its policy', async () => {
    const nothing = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Deny', Action: 'kms:*', Resource: '*' }],
    })
    const { Credentials, PackedPolicySize } = await printed(assume('open', '--policy', nothing))
    expect(PackedPolicySize).toBeGreaterThan(0)
    await expect(kmsOf(Credentials).listKeys({})).rejects.toMatchObject({ name: 'AccessDeniedException' })
    const same = await printed(assume('open', '--policy', FULL_ACCESS))
    await expect(kmsOf(same.Credentials).listKeys({})).resolves.toBeDefined()
  })

  test('limits a session by managed policies, as they are when it calls', async () => {
    const name = role('ceiling')
    await ask('policy/create', { name, document: FULL_ACCESS })
    const arn = `arn:aws:iam::${accountId}:policy/${name}`
    const { Credentials } = await printed(assume('open', '--policy-arns', `arn=${arn}`))
    const kms = kmsOf(Credentials)
    await expect(kms.listKeys({})).resolves.toBeDefined()
    await ask('policy/update', { name, document: FULL_ACCESS.replace('Allow', 'Deny') })
    await expect(kms.listKeys({})).rejects.toMatchObject({ name: 'AccessDeniedException' })
    await ask('policy/delete', { name })
    await expect(kms.listKeys({})).rejects.toMatchObject({ name: 'AccessDeniedException' })
    expect(await refused(assume('open', '--policy-arns', `arn=${arn}`))).toContain('(ValidationError)')
  })

  test('bounds the duration', async () => {
    expect(await refused(assume('open', '--duration-seconds', '7200'))).toBe(
      'An error occurred (ValidationError) when calling the AssumeRole operation: The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
    )
    const few = await query({
      ...{ Action: 'AssumeRole', RoleArn: roleArn('open'), RoleSessionName: 'first', DurationSeconds: '60' },
    })
    expect(few).toMatchObject({ status: 400, text: expect.stringContaining('greater than or equal to 900') })
    expect(codeOf(few.text)).toBe('ValidationError')
  })

  test('lets a session assume another role for an hour, and tags go along that are transitive', async () => {
    const tags = ['--tags', 'Key=team,Value=billing', 'Key=shift,Value=night', '--transitive-tag-keys', 'team']
    const first = await printed(assume('open', ...tags))
    const chain = (...args: string[]) =>
      awsAs(first.Credentials, [
        ...['sts', 'assume-role', '--role-arn', roleArn('chained'), '--role-session-name', 'second', ...args],
      ])
    expect(await printed(chain())).toMatchObject({
      AssumedRoleUser: { Arn: `arn:aws:sts::${accountId}:assumed-role/${role('chained')}/second` },
    })
    expect(await refused(chain('--duration-seconds', '7200'))).toContain('1 hour session limit')
    expect(await refused(chain('--tags', 'Key=Team,Value=other'))).toContain(
      'is not authorized to perform: sts:TagSession',
    )
  })

  test('works in boto3, whose session is used by its kms client', async () => {
    const script = `
import boto3, sys, json
from botocore.exceptions import ClientError
sts = boto3.client('sts', endpoint_url=sys.argv[1])
c = sts.assume_role(RoleArn=sys.argv[2], RoleSessionName='boto', SourceIdentity='alice')
k = c['Credentials']
kms = boto3.client('kms', endpoint_url=sys.argv[1], aws_access_key_id=k['AccessKeyId'],
    aws_secret_access_key=k['SecretAccessKey'], aws_session_token=k['SessionToken'])
try:
    sts.assume_role(RoleArn='arn:aws:iam::1:role/x', RoleSessionName='boto')
except ClientError as error:
    refused = error.response['Error']
print(json.dumps({'source': c['SourceIdentity'], 'random': len(kms.generate_random(NumberOfBytes=7)['Plaintext']), 'refused': refused}))
`
    const { code, stdout, stderr } = await run(
      '/usr/bin/python3',
      ['-c', script, sandbox.endpoint, roleArn('open')],
      awsEnvironment(sandbox),
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(stdout)).toEqual({
      ...{ source: 'alice', random: 7 },
      refused: { Type: 'Sender', Code: 'ValidationError', Message: 'arn:aws:iam::1:role/x is invalid' },
    })
  })
})

test('a trust policy means who was there when it was written, and nobody who comes later under the name', async () => {
  const friend = { name: role('friend') }
  const AWS = `arn:aws:iam::${accountId}:user/${role('friend')}`
  const made = { kind: 'role', name: role('bound'), path: '/apps/', trustPolicy: trust({ Principal: { AWS } }) }
  await expect(ask('identity/create', made)).rejects.toThrow(`there is no ${AWS}`)
  const assumed = async () => {
    const accessKey = (await ask('access-key/create', friend)) as { accessKeyId: string; secretAccessKey: string }
    const parameters = { Action: 'AssumeRole', RoleArn: roleArn('bound'), RoleSessionName: 'visit' }
    return (await query(parameters, accessKey)).status
  }
  await ask('identity/create', friend)
  await ask('identity/create', made)
  expect(await assumed()).toBe(200)
  await ask('identity/delete', friend)
  await ask('identity/create', friend)
  expect(await assumed()).toBe(403)
  await ask('identity/tag', { kind: 'role', name: role('bound'), tags: { a: 'b' } })
  expect(await assumed()).toBe(403)
})

describe('a session', () => {
  test('ends when its role revokes it, and when the role goes', async () => {
    const name = role('passing')
    const made = { kind: 'role', name, path: '/apps/', fullAccess: true }
    await ask('identity/create', { ...made, trustPolicy: trust({ Principal: { AWS: callerArn } }) })
    const invalid = { name: 'UnrecognizedClientException' }
    const first = kmsOf((await printed(assume('passing'))).Credentials)
    await expect(first.listKeys({})).resolves.toBeDefined()
    await ask('identity/revoke-sessions', { name })
    await expect(first.listKeys({})).rejects.toMatchObject(invalid)
    const second = kmsOf((await printed(assume('passing'))).Credentials)
    await expect(second.listKeys({})).resolves.toBeDefined()
    await ask('identity/delete', { kind: 'role', name })
    await expect(second.listKeys({})).rejects.toMatchObject(invalid)
    await ask('identity/create', { ...made, trustPolicy: trust({ Principal: { AWS: callerArn } }) })
    await expect(second.listKeys({})).rejects.toMatchObject(invalid)
  })

  test('is refused with any other token, access key or secret', async () => {
    const one = (await printed(assume('open'))).Credentials as Credentials
    const other = (await printed(assume('open'))).Credentials as Credentials
    const invalid = { name: 'UnrecognizedClientException' }
    const at = Math.floor(one.SessionToken.length / 2)
    const changed = one.SessionToken[at] === 'A' ? 'B' : 'A'
    const forged = one.SessionToken.slice(0, at) + changed + one.SessionToken.slice(at + 1)
    for (const SessionToken of [forged, other.SessionToken, 'garbage', `${one.SessionToken}A`])
      await expect(kmsOf({ ...one, SessionToken }).listKeys({})).rejects.toMatchObject(invalid)
    const { AccessKeyId } = other
    await expect(kmsOf({ ...one, AccessKeyId }).listKeys({})).rejects.toMatchObject(invalid)
    const { SecretAccessKey } = other
    const wrong = { name: 'InvalidSignatureException' }
    await expect(kmsOf({ ...one, SecretAccessKey }).listKeys({})).rejects.toMatchObject(wrong)
    await expect(kmsOf({ ...one, SessionToken: '' }).listKeys({})).rejects.toMatchObject(invalid)
    const { accessKeyId, secretAccessKey } = sandbox
    const longTerm = { AccessKeyId: accessKeyId, SecretAccessKey: secretAccessKey }
    await expect(kmsOf({ ...longTerm, SessionToken: one.SessionToken }).listKeys({})).rejects.toMatchObject(invalid)
  })
})

test('a token with any byte changed costs no token operation (19)', async () => {
  const commands = async () => {
    const counted = /^strongroom_hsm_command_duration_seconds_count\{.*command="(?:openSession|openSigningKey|decrypt)"/
    return sumOf(await readMetrics(sandbox.adminEndpoint), counted)
  }
  const one = (await printed(assume('open'))).Credentials as Credentials
  const used = (token: string) =>
    send({
      ...{ accessKeyId: one.AccessKeyId, secretAccessKey: one.SecretAccessKey },
      headers: { 'x-amz-security-token': token },
    })
  const before = await commands()
  for (let at = 0; at < one.SessionToken.length; at += 3) {
    const changed = one.SessionToken[at] === 'A' ? 'B' : 'A'
    const reply = await used(one.SessionToken.slice(0, at) + changed + one.SessionToken.slice(at + 1))
    expect(JSON.parse(reply.text).__type).toBe('UnrecognizedClientException')
  }
  expect(await commands()).toBe(before)
  expect((await used(one.SessionToken)).status).toBe(200)
  expect(await commands()).toBe(before + 1)
})

test('an account lets another in when both agree', async () => {
  const tenant = String(Date.now()).slice(-12).padStart(12, '5')
  await ask('account/create', { account: tenant })
  const outsider = { account: tenant, name: 'outsider' }
  await ask('identity/create', outsider)
  const made = (await ask('access-key/create', outsider)) as { accessKeyId: string; secretAccessKey: string }
  const name = role('shared')
  const trusting = trust({ Principal: { AWS: tenant } })
  await ask('identity/create', { kind: 'role', name, path: '/apps/', trustPolicy: trusting, fullAccess: true })
  const parameters = { Action: 'AssumeRole', RoleArn: roleArn('shared'), RoleSessionName: 'visit' }
  expect(codeOf((await query(parameters, made)).text)).toBe('AccessDenied')
  const Statement = [{ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: roleArn('shared') }]
  const document = JSON.stringify({ Version: '2012-10-17', Statement })
  await ask('identity/put-policy', { ...outsider, policy: 'Visit', document })
  expect((await query(parameters, made)).text).toContain(`:assumed-role/${name}/visit</Arn>`)
})

describe('the Query protocol', () => {
  test.each<[why: string, draft: Draft, parameters: Record<string, string>, status: number, code: string]>([
    ['no signature', { authorization: () => undefined }, {}, 403, 'MissingAuthenticationToken'],
    ['an unknown access key', { accessKeyId: 'AKIAUNKNOWN' }, {}, 403, 'InvalidClientTokenId'],
    ['a wrong secret', { secretAccessKey: 'wrong' }, {}, 403, 'SignatureDoesNotMatch'],
    ['the scope of KMS', { service: 'kms' }, {}, 403, 'SignatureDoesNotMatch'],
    ['an old signature', { signedAtMs: Date.now() - 3_600_000 }, {}, 403, 'SignatureDoesNotMatch'],
    ['an unknown action', {}, { Action: 'DecodeAuthorizationMessage' }, 400, 'InvalidAction'],
    ['no action', {}, { Action: '' }, 400, 'MissingAction'],
    ['another version', {}, { Version: '2010-01-01' }, 400, 'InvalidAction'],
    ['a parameter that is two things', {}, { 'A.b': '1', A: '2' }, 400, 'MalformedInput'],
    ['a list with a gap', {}, { 'Tags.member.2.Key': 'a' }, 400, 'MalformedInput'],
    ['no role', {}, { Action: 'AssumeRole' }, 400, 'ValidationError'],
    ['prototypes', {}, { Action: 'AssumeRole', '__proto__.RoleArn': 'x' }, 400, 'ValidationError'],
  ])('refuses %s', async (_why, draft, parameters, status, code) => {
    const reply = await query({ Action: 'GetCallerIdentity', ...parameters }, draft)
    expect({ status: reply.status, code: codeOf(reply.text) }).toEqual({ status, code })
    expect(reply.text).toContain(`<RequestId>${reply.headers['x-amzn-requestid']}</RequestId></ErrorResponse>`)
  })

  test('escapes what it echoes', async () => {
    const reply = await query({ Action: '<b>&\u0001"' })
    expect(reply.text).toContain('&lt;b&gt;&amp;\uFFFD&quot;')
  })

  test('does not answer KMS, nor KMS the scope of STS', async () => {
    const { status, text } = await send({ service: 'sts' })
    expect({ status, type: JSON.parse(text).__type }).toEqual({ status: 400, type: 'InvalidSignatureException' })
  })
})
