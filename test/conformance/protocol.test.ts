/** The wire below the SDKs: SigV4, AWS JSON 1.1, and what an identity without rights is told. */

import * as sdk from '@aws-sdk/client-kms'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { runStrongroom } from '../support/sandbox.ts'
import { accountId, aliasArn, encrypt, type Key, kms, makeAlias, makeKey, sandbox } from './kms.ts'
import { type Draft, type Reply, send, timestampOf } from './raw.ts'

const MINUTE_MS = 60_000
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

const SERVED = [
  'DeleteImportedKeyMaterial',
  'GetParametersForImport',
  'ImportKeyMaterial',
  ...['CreateKey', 'DescribeKey', 'ListKeys', 'EnableKey', 'DisableKey', 'ScheduleKeyDeletion', 'CancelKeyDeletion'],
  ...['GetKeyLastUsage', 'UpdateKeyDescription', 'CreateAlias', 'UpdateAlias', 'DeleteAlias', 'ListAliases'],
  ...['TagResource', 'UntagResource', 'ListResourceTags'],
  ...['Encrypt', 'Decrypt', 'ReEncrypt', 'GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'GenerateRandom'],
  ...['PutKeyPolicy', 'GetKeyPolicy', 'ListKeyPolicies'],
  ...['CreateGrant', 'ListGrants', 'ListRetirableGrants', 'RetireGrant', 'RevokeGrant'],
  ...['GenerateDataKeyPair', 'GenerateDataKeyPairWithoutPlaintext'],
  ...['Sign', 'Verify', 'GetPublicKey', 'DeriveSharedSecret', 'GenerateMac', 'VerifyMac'],
  ...['Encapsulate', 'Decapsulate', 'ReplicateKey', 'UpdatePrimaryRegion'],
  ...['EnableKeyRotation', 'DisableKeyRotation', 'GetKeyRotationStatus', 'RotateKeyOnDemand', 'ListKeyRotations'],
]
const OPERATIONS = Object.keys(sdk).flatMap(name => /^(\w+)Command$/.exec(name)?.[1] ?? [])

const body = (code: string, message?: string) => JSON.stringify({ __type: code, message })

async function expectRefusal(draft: Draft, text: string): Promise<Reply> {
  const reply = await send(draft)
  expect({ status: reply.status, text: reply.text }).toEqual({ status: 400, text })
  return reply
}

describe('every answer', () => {
  test.each<[what: string, draft: Draft, status: number, errorType: string | undefined]>([
    ['a success', { operation: 'ListKeys' }, 200, undefined],
    ['a refusal', { operation: 'DescribeKey' }, 400, 'ValidationException'],
    ['a refusal to look at it', { authorization: () => undefined }, 400, 'MissingAuthenticationTokenException'],
  ])('%s has type, request id, date and length', async (_, draft, status, errorType) => {
    const reply = await send(draft)
    expect(reply.status).toBe(status)
    expect(reply.headers).toMatchObject({
      'content-type': 'application/x-amz-json-1.1',
      'x-amzn-requestid': expect.stringMatching(UUID),
      'content-length': String(Buffer.byteLength(reply.text)),
    })
    expect(reply.headers['x-amzn-errortype']).toBe(errorType)
    expect(Math.abs(Date.parse(reply.headers.date!) - Date.now())).toBeLessThan(60_000)
    expect(reply.headers).not.toHaveProperty('x-powered-by')
    expect((await send(draft)).headers['x-amzn-requestid']).not.toBe(reply.headers['x-amzn-requestid'])
  })

  test('of an operation without output is an object without members', async () => {
    const { id } = await makeKey()
    expect(await send({ operation: 'EnableKey', body: { KeyId: id } })).toMatchObject({ status: 200, text: '{}' })
  })

  test('has numbers of seconds for dates and no members that are absent', async () => {
    const { text } = await send({ operation: 'CreateKey', body: { Description: 'é🔑' } })
    const { KeyMetadata } = JSON.parse(text)
    expect(Math.abs(KeyMetadata.CreationDate - Date.now() / 1_000)).toBeLessThan(60)
    expect(KeyMetadata.Description).toBe('é🔑')
    expect(Object.values(KeyMetadata)).not.toContain(null)
  })
})

describe('a signature', () => {
  const wrong = body(
    'InvalidSignatureException',
    'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
  )
  const unknown = body('UnrecognizedClientException', 'The security token included in the request is invalid.')
  const scope = (message: string) => body('InvalidSignatureException', message)
  const incomplete = (message: string) => body('IncompleteSignatureException', message)
  const mustBeSigned = (name: string) => incomplete(`'${name}' must be a 'SignedHeader' in the AWS Authorization.`)
  const tomorrow = timestampOf(Date.now() + 86_400_000).slice(0, 8)
  const query = 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=900&X-Amz-Signature=00'

  test.each<[what: string, draft: Draft, text: string]>([
    [
      'none at all',
      { authorization: () => undefined },
      body('MissingAuthenticationTokenException', 'Missing Authentication Token'),
    ],
    ['of another secret', { secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' }, wrong],
    [
      'changed in its last digit',
      { authorization: right => right.replace(/.$/, digit => (digit === '0' ? '1' : '0')) },
      wrong,
    ],
    ['in capitals', { authorization: right => right.replace(/[0-9a-f]{64}$/, hex => hex.toUpperCase()) }, wrong],
    ['of another body', { afterSigning: { body: '{"Limit":1}' } }, wrong],
    ['of another target', { afterSigning: { headers: { 'x-amz-target': 'TrentService.CreateKey' } } }, wrong],
    ['of another path', { afterSigning: { path: '/?a=b' } }, wrong],
    ['of another method', { method: 'GET', afterSigning: { method: 'POST' } }, wrong],
    ['by an unknown access key', { accessKeyId: 'AKIAIOSFODNN7EXAMPLE' }, unknown],
    ['with a session token that nobody gave out', { headers: { 'x-amz-security-token': 'abc' } }, unknown],
    [
      'for another region',
      { region: 'us-east-1' },
      scope('Credential should be scoped to a valid Region, not us-east-1'),
    ],
    ['for another service', { service: 's3' }, scope("Credential should be scoped to correct service: 'kms'")],
    [
      'for another protocol',
      { authorization: right => right.replace('/aws4_request', '/aws5_request') },
      scope("Credential should be scoped with a valid terminator: 'aws4_request'"),
    ],
    [
      'for another day',
      { authorization: right => right.replace(/\/\d{8}\//, `/${tomorrow}/`) },
      scope('Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP'),
    ],
    [
      'in the query',
      { path: `/?${query}`, authorization: () => undefined },
      incomplete('Authentication in the query string is not accepted: sign the request with an Authorization header.'),
    ],
    [
      'in query and header',
      { path: `/?${query}` },
      incomplete("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."),
    ],
    [
      'that leaves out an x-amz header',
      { afterSigning: { headers: { 'x-amz-meta': 'a' } } },
      mustBeSigned('x-amz-meta'),
    ],
    [
      'that leaves out the target',
      {
        headers: { 'x-amz-target': undefined },
        afterSigning: { headers: { 'x-amz-target': 'TrentService.ListKeys' } },
      },
      mustBeSigned('x-amz-target'),
    ],
    [
      'that leaves out the host',
      { headers: { host: undefined }, afterSigning: { headers: { host: 'kms.example' } } },
      mustBeSigned('Host'),
    ],
    [
      'of a digest that is not the body’s',
      { headers: { 'x-amz-content-sha256': '0'.repeat(64) } },
      scope("The provided 'x-amz-content-sha256' header does not match what was computed."),
    ],
    [
      'of no digest, as S3 allows',
      { headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } },
      scope("The provided 'x-amz-content-sha256' header does not match what was computed."),
    ],
    [
      'of another algorithm',
      { authorization: right => right.replace('AWS4-HMAC-SHA256', 'AWS4-HMAC-SHA1') },
      incomplete("Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1'."),
    ],
    [
      'with a date that is none',
      { headers: { 'x-amz-date': '2026-11-22' } },
      incomplete("Date must be in ISO-8601 'basic format'. Got '2026-11-22'."),
    ],
  ])('%s is refused', async (_, draft, text) => {
    await expectRefusal(draft, text)
  })

  test('refused tells the access key’s owner nothing about secrets', async () => {
    const { text } = await send({ authorization: () => 'Bearer very-secret-token' })
    expect(JSON.parse(text)).toMatchObject({ __type: 'IncompleteSignatureException' })
    expect(text).not.toContain('very-secret-token')
  })

  test.each([-4, 4])('of %d minutes from now is accepted', async minutes => {
    expect((await send({ signedAtMs: Date.now() + minutes * MINUTE_MS })).status).toBe(200)
  })

  test.each([
    [-6, -5, /^Signature expired: (\S+) is now earlier than (\S+) \((\S+) - 5 min\.\)$/],
    [6, 5, /^Signature not yet current: (\S+) is still later than (\S+) \((\S+) \+ 5 min\.\)$/],
  ])('of %d minutes from now is refused', async (minutes, bound, form) => {
    const signedAtMs = Date.now() + minutes * MINUTE_MS
    const { __type, message } = JSON.parse((await send({ signedAtMs })).text)
    expect(__type).toBe('InvalidSignatureException')
    const [, date, limit, now] = form.exec(message)!
    expect(date).toBe(timestampOf(signedAtMs))
    const seconds = (timestamp: string) =>
      Date.parse(timestamp.replace(/^(....)(..)(..T..)(..)/, '$1-$2-$3:$4:')) / 1_000
    expect(seconds(limit!) - seconds(now!)).toBe(bound * 60)
    expect(Math.abs(seconds(now!) - Date.now() / 1_000)).toBeLessThan(60)
  })

  test.each<[what: string, draft: Draft]>([
    ['by the Date header', { headers: { 'x-amz-date': undefined, date: new Date().toUTCString() } }],
    [
      'with the digest of the body',
      { headers: { 'x-amz-content-sha256': '44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a' } },
    ],
    [
      'with parts in another order',
      { authorization: right => right.replace(/^(\S+) (.+), (.+), (.+)$/, '$1 $4,$3 ,  $2') },
    ],
    ['with a query', { path: '/?b=2&a=1' }],
  ])('%s is accepted', async (_, draft) => {
    expect((await send(draft)).status).toBe(200)
  })
})

describe('a body', () => {
  const serialization = (message: string) => body('SerializationException', message)
  const notObject = serialization('The request body is not a JSON object.')

  test.each<[what: string, sent: string | Buffer, text: string]>([
    ['not JSON', '{"KeyId":', notObject],
    ['two objects', '{}{}', notObject],
    ['a list', '[]', notObject],
    ['text', '"KeyId"', notObject],
    ['null', 'null', notObject],
    ['with a byte order mark', '\ufeff{}', notObject],
    ['not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), serialization('The request body is not UTF-8.')],
  ])('that is %s is refused', async (_, sent, text) => {
    await expectRefusal({ body: sent }, text)
  })

  test.each<[what: string, operation: string, members: object, text: string]>([
    ['a number for text', 'DescribeKey', { KeyId: 5 }, 'NUMBER_VALUE can not be converted to a String'],
    ['a boolean for text', 'DescribeKey', { KeyId: true }, 'TRUE_VALUE can not be converted to a String'],
    ['a list for text', 'DescribeKey', { KeyId: [] }, 'Start of list found where not expected'],
    ['a structure for text', 'DescribeKey', { KeyId: {} }, 'Start of structure or map found where not expected.'],
    ['text for a number', 'ListKeys', { Limit: '1' }, 'STRING_VALUE can not be converted to an Integer'],
    ['a fraction for a whole number', 'ListKeys', { Limit: 1.5 }, 'NUMBER_VALUE can not be converted to an Integer'],
    ['text for a boolean', 'CreateKey', { MultiRegion: 'no' }, 'STRING_VALUE can not be converted to a Boolean'],
    ['a number for a boolean', 'CreateKey', { MultiRegion: 0 }, 'NUMBER_VALUE can not be converted to a Boolean'],
    ['a structure for a list', 'CreateKey', { Tags: {} }, 'Start of structure or map found where not expected.'],
    ['text for a list', 'CreateKey', { Tags: 'a' }, 'Expected list or null'],
    ['text in a list of structures', 'CreateKey', { Tags: ['a'] }, 'Expected null'],
    ['a number for bytes', 'Decrypt', { CiphertextBlob: 5 }, 'NUMBER_VALUE can not be converted to a Blob'],
    ['bytes that are not base64', 'Decrypt', { CiphertextBlob: 'a b=' }, 'Invalid Base64'],
    ['bytes without padding', 'Decrypt', { CiphertextBlob: 'YQ' }, 'Invalid Base64'],
    ['bytes in the alphabet of URLs', 'Decrypt', { CiphertextBlob: '_-__' }, 'Invalid Base64'],
    ['a number for an enum', 'CreateKey', { KeySpec: 5 }, 'NUMBER_VALUE can not be converted to a String'],
  ])('with %s is refused', async (_, operation, members, message) => {
    await expectRefusal({ operation, body: members }, serialization(message))
  })

  test.each<[what: string, sent: string]>([
    ['nothing', ''],
    ['an empty object', '{}'],
    ['unknown members', '{"Colour":"red","__proto__":{"Limit":"x"}}'],
    ['null for an absent member', '{"Limit":null,"Marker":null}'],
    ['white space around it', ' \n{ "Limit" : 1 }\t'],
    ['a whole mebibyte', '{}'.padEnd(1_048_576)],
  ])('of %s is accepted', async (_, sent) => {
    expect((await send({ body: sent })).status).toBe(200)
  })

  test.each<[what: string, draft: Draft]>([
    ['by the length it says', {}],
    ['by what arrives', { chunked: true }],
  ])('of a byte more is too large, %s', async (_, draft) => {
    const reply = await send({ body: '{}'.padEnd(1_048_577), ...draft })
    expect(reply).toMatchObject({
      status: 413,
      text: body('RequestEntityTooLargeException', 'The request body is longer than 1048576 bytes.'),
      headers: { connection: 'close' },
    })
  })

  test('of many mebibytes gets the same answer, and no broken pipe', async () => {
    const sent = Buffer.alloc(8_388_608, 0x20)
    const replies = await Promise.all(Array.from({ length: 12 }, () => send({ body: sent })))
    expect(replies.map(({ status }) => status)).toEqual(Array(12).fill(413))
  })
})

describe('an operation', () => {
  const unknown = body('UnknownOperationException')
  const contentType = body('UnknownOperationException', 'The Content-Type must be application/x-amz-json-1.1.')

  test.each<[what: string, draft: Draft, text: string]>([
    ['that nobody knows', { operation: 'MakeCoffee' }, unknown],
    ['of another spelling', { operation: 'listkeys' }, unknown],
    ['named like a member of all objects', { operation: 'constructor' }, unknown],
    ['without a name', { operation: '' }, unknown],
    ['of no target', { headers: { 'x-amz-target': undefined } }, unknown],
    ['of another service', { headers: { 'x-amz-target': 'DynamoDB_20120810.ListTables' } }, unknown],
    ['in another version of the protocol', { headers: { 'content-type': 'application/x-amz-json-1.0' } }, contentType],
    ['in a form', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }, contentType],
    ['in a body of no type', { headers: { 'content-type': undefined } }, contentType],
  ])('%s is refused', async (_, draft, text) => {
    await expectRefusal(draft, text)
  })

  test.each(['application/x-amz-json-1.1; charset=utf-8', 'application/json'])('of type %s is served', async type => {
    expect((await send({ headers: { 'content-type': type } })).status).toBe(200)
  })

  test.each(OPERATIONS.filter(name => !SERVED.includes(name)))('%s is not supported yet', async operation => {
    await expectRefusal({ operation }, body('UnsupportedOperationException', `${operation} is not supported yet.`))
  })

  test('that is served is one of AWS’s', () => {
    expect(OPERATIONS).toHaveLength(56)
    expect(OPERATIONS).toEqual(expect.arrayContaining(SERVED))
  })

  test.each([
    ['GET', '/'],
    ['PUT', '/'],
    ['DELETE', '/'],
    ['OPTIONS', '/'],
    ['POST', '/kms'],
    ['GET', '/metrics'],
    ['GET', '/healthz'],
  ])('is not at %s %s', async (method, path) => {
    expect(await send({ method, path })).toMatchObject({
      status: 404,
      headers: { 'content-type': expect.stringContaining('application/x-amz-json-1.1') },
      text: '{"__type":"UnknownOperationException"}',
    })
  })
})

describe('an identity without policy', () => {
  const name = `nobody-${process.pid}-${Date.now()}`
  const userArn = `arn:aws:iam::${accountId}:user/${name}`
  let credentials: { accessKeyId: string; secretAccessKey: string }
  let key: Key
  let alias: string
  let ciphertext: string

  beforeAll(async () => {
    expect(JSON.parse(await identity('create', name))).toMatchObject({ arn: userArn })
    credentials = JSON.parse(await identity('access-key', 'create', name))
    key = await makeKey()
    alias = await makeAlias(key)
    ciphertext = Buffer.from(await encrypt(key)).toString('base64')
  })

  async function identity(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runStrongroom(sandbox, ['identity', ...args, '-o', 'json'])
    if (code !== 0) throw new Error(stderr)
    return stdout
  }

  const denied = (action: string, on = '') =>
    JSON.stringify({
      __type: 'AccessDeniedException',
      Message: `User: ${userArn} is not authorized to perform: kms:${action}${on} because no identity-based policy allows the kms:${action} action`,
    })
  const onKey = () => ` on resource: ${key.arn}`
  const onAlias = () => ` on resource: ${aliasArn(alias)}`
  const onAccount = () => ''
  const size = { KeySpec: 'AES_256' }

  test.each<[operation: string, members: () => object, on: () => string, action?: string]>([
    ['CreateKey', () => ({}), onAccount],
    ['DescribeKey', () => ({ KeyId: key.id }), onKey],
    ['ListKeys', () => ({}), onAccount],
    ['EnableKey', () => ({ KeyId: key.arn }), onKey],
    ['DisableKey', () => ({ KeyId: key.id }), onKey],
    ['ScheduleKeyDeletion', () => ({ KeyId: key.id }), onKey],
    ['CancelKeyDeletion', () => ({ KeyId: key.id }), onKey],
    ['UpdateKeyDescription', () => ({ KeyId: key.id, Description: '' }), onKey],
    ['CreateAlias', () => ({ AliasName: alias, TargetKeyId: key.id }), onAlias],
    ['UpdateAlias', () => ({ AliasName: alias, TargetKeyId: key.id }), onAlias],
    ['DeleteAlias', () => ({ AliasName: alias }), onAlias],
    ['ListAliases', () => ({}), onAccount],
    ['TagResource', () => ({ KeyId: key.id, Tags: [] }), onKey],
    ['UntagResource', () => ({ KeyId: key.id, TagKeys: [] }), onKey],
    ['ListResourceTags', () => ({ KeyId: key.id }), onKey],
    ['Encrypt', () => ({ KeyId: alias, Plaintext: 'YQ==' }), onKey],
    ['Decrypt', () => ({ KeyId: key.id, CiphertextBlob: ciphertext }), onKey],
    [
      'ReEncrypt',
      () => ({ SourceKeyId: key.id, DestinationKeyId: key.id, CiphertextBlob: ciphertext }),
      onKey,
      'ReEncryptFrom',
    ],
    ['GenerateDataKey', () => ({ KeyId: key.id, ...size }), onKey],
    ['GenerateDataKeyWithoutPlaintext', () => ({ KeyId: key.id, ...size }), onKey],
    ['GenerateRandom', () => ({ NumberOfBytes: 1 }), onAccount],
  ])('may not call %s', async (operation, members, on, action = operation) => {
    await expectRefusal({ ...credentials, operation, body: members() }, denied(action, on()))
    // Operations without DryRun ignore it, as they do every member that they do not know.
    await expectRefusal({ ...credentials, operation, body: { ...members(), DryRun: true } }, denied(action, on()))
  })

  test.each(['Decrypt', 'ReEncrypt'])('is not told by %s whether the key of a ciphertext exists', async operation => {
    const foreign = Buffer.from(ciphertext, 'base64')
    foreign[10]! ^= 1
    for (const CiphertextBlob of [ciphertext, foreign.toString('base64')]) {
      await expectRefusal(
        { ...credentials, operation, body: { CiphertextBlob, DestinationKeyId: key.id } },
        JSON.stringify({
          __type: 'AccessDeniedException',
          Message:
            'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.',
        }),
      )
    }
  })

  test('is not told the state of a key', async () => {
    const { id, arn } = await makeKey()
    await kms.disableKey({ KeyId: id })
    await expectRefusal(
      { ...credentials, operation: 'Encrypt', body: { KeyId: id, Plaintext: 'YQ==' } },
      denied('Encrypt', ` on resource: ${arn}`),
    )
  })

  test('is told of wrong input first', async () => {
    await expectRefusal(
      { ...credentials, operation: 'Encrypt', body: { KeyId: key.id } },
      body(
        'ValidationException',
        "1 validation error detected: Value null at 'plaintext' failed to satisfy constraint: Member must not be null",
      ),
    )
  })

  test('is nobody while its access key is disabled', async () => {
    await identity('access-key', 'disable', name, credentials.accessKeyId)
    await expectRefusal(
      credentials,
      body('UnrecognizedClientException', 'The security token included in the request is invalid.'),
    )
    await identity('access-key', 'enable', name, credentials.accessKeyId)
    await expectRefusal(credentials, denied('ListKeys'))
  })
})
