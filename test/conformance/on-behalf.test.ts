/** Calls of services on somebody's behalf: whom decisions are about then, and who may make such calls at all. */
import { describe, expect, test } from '@jest/globals'
import { ask, FULL, makeStranger, makeUser, notAllowed, type Other, policyOf } from './callers.ts'
import { accountId, encrypt, kms, makeKey, OTHER_ACCOUNT, refusal, text } from './kms.ts'
import { send } from './raw.ts'
import { type Credentials, clientWith, credentialsOf, headersOf, makeService } from './services.ts'

const ROOT = `arn:aws:iam::${accountId}:root`
const toAccount = { Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'kms:*', Resource: '*' }
const statement = (Principal: object | string, Action: string | string[], Condition: object = {}) => ({
  ...{ Effect: 'Allow', Principal, Action, Resource: '*', Condition },
})

async function makeKeyWith(...statements: object[]) {
  const { KeyMetadata } = await kms.createKey({ Policy: policyOf(toAccount, ...statements) })
  return { id: KeyMetadata!.KeyId!, arn: KeyMetadata!.Arn! }
}

const keysOf = (user: Other, account = accountId) => credentialsOf({ account, name: user.name })
const refusedBy = (principal: string) =>
  `AccessDeniedException: User: ${principal} is not authorized to call on behalf of whom it names`

/** Whose root has an access key. */
const TENANT = '555566667777'
await ask('account/create', { account: TENANT })
const service = await makeService(accountId)
const user = await makeUser()
const userKeys = await keysOf(user)

/** Temporary credentials of a role that may do everything, as far as a session policy does not limit it. */
async function assume(Policy?: string): Promise<Credentials & { readonly arn: string }> {
  const name = `role-${process.pid}-${Date.now()}`
  const trustPolicy = policyOf({ Effect: 'Allow', Principal: { AWS: ROOT }, Action: 'sts:AssumeRole' })
  const role = { account: accountId, kind: 'role', name, fullAccess: true, trustPolicy } as const
  const { arn } = (await ask('identity/create', role)) as { arn: string }
  const form = { Action: 'AssumeRole', Version: '2011-06-15', RoleArn: arn, RoleSessionName: 'one' }
  const body = new URLSearchParams({ ...form, ...(Policy === undefined ? {} : { Policy }) }).toString()
  const { text: xml } = await send({ service: 'sts', headers: FORM, body, ...(await assumer) })
  const [accessKeyId, secretAccessKey, sessionToken] = ['AccessKeyId', 'SecretAccessKey', 'SessionToken'].map(
    element => new RegExp(`<${element}>([^<]+)</${element}>`).exec(xml)![1]!,
  ) as [string, string, string]
  return { accessKeyId, secretAccessKey, sessionToken, arn: `arn:aws:sts::${accountId}:assumed-role/${name}/one` }
}
const FORM = { 'content-type': 'application/x-www-form-urlencoded', 'x-amz-target': undefined }
const assumer = makeUser(policyOf({ Effect: 'Allow', Action: 'sts:AssumeRole', Resource: '*' })).then(keysOf)

describe('a service that calls for a user', () => {
  test('is let in as that user, where the key policy asks for the service', async () => {
    const Condition = { StringEquals: { 'kms:ViaService': service.via, 'kms:CallerAccount': accountId } }
    const key = await makeKeyWith(statement({ AWS: user.arn }, ['kms:Encrypt', 'kms:Decrypt'], Condition))
    const use = { KeyId: key.arn, Plaintext: text('x') }
    const { CiphertextBlob } = await service.client({ for: userKeys }).encrypt(use)
    await service.client({ for: userKeys }).decrypt({ CiphertextBlob })
    expect(await refusal(user.kms.encrypt(use))).toBe(notAllowed(user, 'Encrypt', key.arn))
    const another = await makeService(accountId)
    expect(await refusal(another.client({ for: userKeys }).encrypt(use))).toBe(notAllowed(user, 'Encrypt', key.arn))
    expect(await refusal(service.client().encrypt(use))).toMatch(/^AccessDeniedException: User: s-.*amazonaws/)
  })

  test('has the rights of the user and none of its own', async () => {
    const [key, able] = [
      await makeKeyWith(statement({ Service: service.principal }, 'kms:Encrypt')),
      await makeUser(FULL),
    ]
    const use = { KeyId: key.arn, Plaintext: text('x') }
    await service.client().encrypt(use)
    expect(await refusal(service.client({ for: userKeys }).encrypt(use))).toBe(notAllowed(user, 'Encrypt', key.arn))
    await service.client({ for: await keysOf(able) }).encrypt(use)
  })

  test.each([
    ['aws:CalledVia', { 'ForAnyValue:StringEquals': { 'aws:CalledVia': service.principal } }],
    ['aws:CalledViaFirst', { StringEquals: { 'aws:CalledViaFirst': service.principal } }],
    ['aws:CalledViaLast', { StringEquals: { 'aws:CalledViaLast': service.principal } }],
    ['aws:ViaAWSService', { Bool: { 'aws:ViaAWSService': 'true' } }],
    ['no aws:SourceIp', { Null: { 'aws:SourceIp': 'true' } }],
    ['aws:PrincipalArn', { ArnEquals: { 'aws:PrincipalArn': user.arn }, Null: { 'kms:ViaService': 'false' } }],
  ])('is seen by conditions: %s', async (_, Condition) => {
    const key = await makeKeyWith(statement({ AWS: user.arn }, 'kms:DescribeKey', Condition))
    await service.client({ for: userKeys }).describeKey({ KeyId: key.arn })
    expect(await refusal(user.kms.describeKey({ KeyId: key.arn }))).toBe(notAllowed(user, 'DescribeKey', key.arn))
  })

  test('is not seen by conditions on calls of the user itself', async () => {
    const direct = {
      Bool: { 'aws:ViaAWSService': 'false' },
      Null: { 'kms:ViaService': 'true', 'aws:CalledVia': 'true' },
    }
    const key = await makeKeyWith(statement({ AWS: user.arn }, 'kms:DescribeKey', direct))
    await user.kms.describeKey({ KeyId: key.arn })
    expect(await refusal(service.client({ for: userKeys }).describeKey({ KeyId: key.arn }))).toBe(
      notAllowed(user, 'DescribeKey', key.arn),
    )
  })

  test('reaches keys of other accounts as the user does', async () => {
    const [acting, stranger] = [await makeService(OTHER_ACCOUNT), await makeStranger(FULL)]
    const key = await makeKeyWith(statement({ AWS: stranger.arn }, 'kms:Encrypt'))
    const calling = acting.client({ for: await keysOf(stranger, OTHER_ACCOUNT) })
    await calling.encrypt({ KeyId: key.arn, Plaintext: text('x') })
    expect(await refusal(calling.disableKey({ KeyId: key.arn }))).toContain(`User: ${stranger.arn} is not authorized`)
  })
})

describe('a service that calls for a session', () => {
  test('is that session, with its limits', async () => {
    const key = await makeKey()
    const [free, limited] = [
      await assume(),
      await assume(policyOf({ ...toAccount, Principal: undefined, Action: 'kms:List*' })),
    ]
    await service.client({ for: free }).describeKey({ KeyId: key.arn })
    expect(await refusal(service.client({ for: limited }).describeKey({ KeyId: key.arn }))).toBe(
      notAllowed({ ...user, arn: limited.arn }, 'DescribeKey', key.arn, 'session'),
    )
    await service.client({ for: limited }).listKeys({})
  })

  test('needs the token that came with its request', async () => {
    const [one, other] = [await assume(), await assume()]
    const { accessKeyId, sessionToken } = one
    for (const whom of [
      { accessKeyId },
      { accessKeyId, sessionToken: other.sessionToken! },
      { accessKeyId, sessionToken: `${sessionToken!.slice(0, -4)}AAAA` },
      { accessKeyId: userKeys.accessKeyId, sessionToken: sessionToken! },
    ]) {
      expect(await refusal(service.client({ for: whom }).listKeys({}))).toBe(refusedBy(service.principal))
    }
    await service.client({ for: one }).listKeys({})
  })

  test('stops when the sessions of the role are revoked', async () => {
    const session = await assume()
    await service.client({ for: session }).listKeys({})
    await ask('identity/revoke-sessions', { account: accountId, name: session.arn.split('/')[1]! })
    expect(await refusal(service.client({ for: session }).listKeys({}))).toBe(refusedBy(service.principal))
  })
})

describe('on behalf of somebody calls nobody but a service', () => {
  test('that acts for the account of whom it names', async () => {
    const [unregistered, elsewhere] = [await makeService(), await makeService(OTHER_ACCOUNT)]
    const able = await keysOf(await makeUser(FULL))
    for (const acting of [unregistered, elsewhere]) {
      expect(await refusal(acting.client({ for: able }).listKeys({}))).toBe(refusedBy(acting.principal))
    }
    await ask('identity/set-acts-for', { account: accountId, name: unregistered.name, accounts: [accountId] })
    await unregistered.client({ for: able }).listKeys({})
    await ask('identity/set-acts-for', { account: accountId, name: unregistered.name, accounts: [] })
    expect(await refusal(unregistered.client({ for: able }).listKeys({}))).toBe(refusedBy(unregistered.principal))
  })

  test('not a user, a session or a root, whoever is named', async () => {
    const [able, session] = [await keysOf(await makeUser(FULL)), await assume()]
    const direct = clientWith(able, headersOf({ for: userKeys }))
    expect(await refusal(direct.listKeys({}))).toMatch(/^AccessDeniedException: User: .* is not authorized to call on/)
    expect(await refusal(clientWith(session, headersOf({ for: userKeys })).listKeys({}))).toBe(
      'AccessDeniedException: A session calls on behalf of nobody.',
    )
    expect(await refusal(clientWith(able, headersOf({ sourceArn: SOURCE })).listKeys({}))).toMatch(/^AccessDenied/)
  })

  test('for users and sessions alone, with access keys that are good', async () => {
    const [other, leaver] = [await makeService(accountId), await makeUser(FULL)]
    const left = await keysOf(leaver)
    const acting = await makeService(accountId, TENANT)
    const root = await credentialsOf({ account: TENANT, kind: 'root', name: 'root' })
    await service.client({ for: left }).listKeys({})
    await ask('access-key/disable', { account: accountId, name: leaver.name, accessKeyId: left.accessKeyId })
    for (const accessKeyId of [
      ...[left.accessKeyId, root.accessKeyId, other.credentials.accessKeyId, service.credentials.accessKeyId],
      ...['AKIAUNKNOWNUNKNOWN00', `${userKeys.accessKeyId},${userKeys.accessKeyId}`, user.arn, ''],
    ]) {
      expect(await refusal(acting.client({ for: { accessKeyId } }).listKeys({}))).toBe(refusedBy(acting.principal))
    }
  })

  test('in headers that are signed', async () => {
    const { credentials } = service
    const headers = headersOf({ for: userKeys })
    const { status, text: body } = await send({ ...credentials, afterSigning: { headers } })
    expect(status).toBe(400)
    expect(JSON.parse(body)).toEqual({
      __type: 'IncompleteSignatureException',
      message: "'x-strongroom-on-behalf-of' must be a 'SignedHeader' in the AWS Authorization.",
    })
  })

  test('and gets no credentials by it', async () => {
    const body = new URLSearchParams({ Action: 'GetCallerIdentity', Version: '2011-06-15' }).toString()
    const asked = {
      service: 'sts',
      headers: { ...FORM, ...headersOf({ for: userKeys }) },
      body,
      ...service.credentials,
    }
    const { status, text: xml } = await send(asked)
    expect({ status, code: /<Code>(\w+)</.exec(xml)?.[1] }).toEqual({ status: 403, code: 'AccessDenied' })
  })
})

const SOURCE = `arn:aws:storage:on-prem-1:${accountId}:bucket/orders`

describe('a grant for a service', () => {
  const owner = makeUser(policyOf({ Effect: 'Allow', Action: 'kms:DescribeKey', Resource: '*' }))

  test('is made through it for a user, used for the resource, and retired', async () => {
    const asService = { Bool: { 'kms:GrantIsForAWSResource': 'true' }, StringEquals: { 'kms:ViaService': service.via } }
    const { arn } = await owner
    const key = await makeKeyWith(statement({ AWS: arn }, ['kms:CreateGrant', 'kms:Encrypt'], asService))
    const terms = {
      ...{ KeyId: key.arn, GranteeServicePrincipal: service.principal, RetiringPrincipal: arn },
      Operations: ['Encrypt' as const, 'Decrypt' as const],
      Constraints: { SourceArn: SOURCE },
    }
    const whom = await keysOf(await owner)
    expect(await refusal((await owner).kms.createGrant(terms))).toBe(notAllowed(await owner, 'CreateGrant', key.arn))
    const { GrantId } = await service.client({ for: whom }).createGrant(terms)
    const CiphertextBlob = await encrypt(key)
    await service.client({ sourceArn: SOURCE }).decrypt({ CiphertextBlob })
    for (const sourceArn of [undefined, `${SOURCE}2`]) {
      const headers = sourceArn === undefined ? {} : { sourceArn }
      expect(await refusal(service.client(headers).encrypt({ KeyId: key.arn, Plaintext: text('x') }))).toContain(
        `User: ${service.principal} is not authorized to perform: kms:Encrypt`,
      )
    }
    const stranger = await makeService(accountId)
    expect(await refusal(stranger.client({ sourceArn: SOURCE }).decrypt({ CiphertextBlob }))).toMatch(/^AccessDenied/)
    await (await owner).kms.retireGrant({ KeyId: key.arn, GrantId: GrantId! })
    expect(await refusal(service.client({ sourceArn: SOURCE }).decrypt({ CiphertextBlob }))).toMatch(/^AccessDenied/)
  })

  test('is for resources of accounts that the service acts for', async () => {
    const trusted = { ArnLike: { 'aws:SourceArn': 'arn:aws:storage:*:*:bucket/*' }, StringEquals: {} }
    const source = { ...trusted, StringEquals: { 'aws:SourceAccount': accountId } }
    const key = await makeKeyWith(statement({ Service: service.principal }, 'kms:Encrypt', source))
    const use = { KeyId: key.arn, Plaintext: text('x') }
    await service.client({ sourceArn: SOURCE }).encrypt(use)
    for (const sourceArn of [
      SOURCE.replace(accountId, OTHER_ACCOUNT),
      'arn:aws:storage:::bucket/orders',
      'bucket',
      '',
    ]) {
      expect(await refusal(service.client({ sourceArn }).encrypt(use))).toBe(refusedBy(service.principal))
    }
  })
})
