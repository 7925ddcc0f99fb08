/** Verification step by step: what is refused, with which code and words, and in which order. */
import { hash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import {
  checkScope,
  checkSignature,
  type IncomingRequest,
  readSignedRequest,
  type Served,
} from '../../../../src/api/sigv4/verify.ts'
import { type ErrorCode, KmsError } from '../../../../src/model/errors.ts'
import {
  ACCESS_KEY_ID,
  BODY,
  HEADERS,
  headerOf,
  SCOPE,
  SERVED,
  SIGNED_AT_MS,
  SIGNED_HEADERS,
  SIGNING_KEY,
  signed,
  TIMESTAMP,
  withHeader,
} from './requests.ts'

const FIVE_MINUTES_MS = 300_000
const MISMATCH =
  'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.'

function verify(request: IncomingRequest, nowMs = SIGNED_AT_MS, served: Served = SERVED, key = SIGNING_KEY) {
  const read = readSignedRequest(request)
  checkScope(read, served, nowMs)
  checkSignature(read, key)
  return read
}

function expectRefusal(act: () => unknown, code: ErrorCode, message: string | RegExp) {
  let thrown: unknown
  try {
    act()
  } catch (error) {
    thrown = error
  }
  expect(thrown).toBeInstanceOf(KmsError)
  const { code: actual, message: words } = thrown as KmsError
  expect({ code: actual, message: words }).toEqual({
    code,
    message: typeof message === 'string' ? message : expect.stringMatching(message),
  })
}

describe('a good request', () => {
  it('is accepted, and says who claims to have signed what', () => {
    expect(verify(signed())).toMatchObject({
      accessKeyId: ACCESS_KEY_ID,
      ...SCOPE,
      sessionToken: undefined,
      timestamp: TIMESTAMP,
      signedAtMs: SIGNED_AT_MS,
    })
  })

  it('may have headers that are not signed', () => {
    const request = signed()
    verify({ ...request, rawHeaders: [...request.rawHeaders, 'User-Agent', 'curl', 'X-Amzn-Trace-Id', 'Root=1'] })
  })

  it('may have an empty body, a query, and headers with the bytes of UTF-8', () => {
    verify(signed({ body: Buffer.alloc(0) }))
    verify(signed({ url: '/?b=2&a=%20+' }))
    const value = Buffer.from('à la carte: à', 'utf8').toString('latin1')
    verify(
      signed({ headers: [...HEADERS, 'X-Amz-Meta', value], signedHeaders: [...SIGNED_HEADERS, 'x-amz-meta'].sort() }),
    )
  })

  it('may name a header twice and fold white space', () => {
    const headers = [...HEADERS, 'My-Header', 'a  b\tc', 'my-header', ' d ']
    const request = signed({
      headers,
      signedHeaders: ['content-type', 'host', 'my-header', 'x-amz-date', 'x-amz-target'],
    })
    verify(request)
    const joined = [...withHeader(request.rawHeaders, 'my-header', undefined), 'My-Header', 'a b c, d']
    verify({ ...request, rawHeaders: joined })
  })

  it('may be dated by Date alone', () => {
    for (const date of ['Sun, 22 Nov 2026 12:00:00 GMT', TIMESTAMP]) {
      const headers = ['Host', 'kms.example', 'Date', date, 'X-Amz-Target', 'TrentService.ListKeys']
      verify(signed({ headers, signedHeaders: ['date', 'host', 'x-amz-target'] }))
    }
  })

  it('hands the session token out when it is signed', () => {
    const headers = [...HEADERS, 'X-Amz-Security-Token', 'token']
    const request = signed({ headers, signedHeaders: [...SIGNED_HEADERS, 'x-amz-security-token'].sort() })
    expect(verify(request).sessionToken).toBe('token')
  })
})

describe('readSignedRequest', () => {
  it('refuses a request that nobody signed', () => {
    const request = { ...signed(), rawHeaders: HEADERS }
    expectRefusal(
      () => readSignedRequest(request),
      'MissingAuthenticationTokenException',
      'Missing Authentication Token',
    )
    const empty = { ...request, rawHeaders: [...HEADERS, 'Authorization', ''] }
    expectRefusal(() => readSignedRequest(empty), 'MissingAuthenticationTokenException', 'Missing Authentication Token')
  })

  it('refuses two Authorization headers', () => {
    const request = signed()
    const rawHeaders = [...request.rawHeaders, 'authorization', headerOf(request, 'authorization')]
    expectRefusal(() => readSignedRequest({ ...request, rawHeaders }), 'IncompleteSignatureException', /more than one/)
  })

  it('refuses the query form, alone and together with the header', () => {
    const url = '/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a&X-Amz-Signature=b'
    expectRefusal(
      () => readSignedRequest({ ...signed(), rawHeaders: HEADERS, url }),
      'IncompleteSignatureException',
      'Authentication in the query string is not accepted: sign the request with an Authorization header.',
    )
    expectRefusal(
      () => readSignedRequest(signed({ url })),
      'IncompleteSignatureException',
      "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    )
  })

  it('refuses a request without a date', () => {
    const request = signed()
    const rawHeaders = withHeader(request.rawHeaders, 'x-amz-date', undefined)
    expectRefusal(
      () => readSignedRequest({ ...request, rawHeaders }),
      'IncompleteSignatureException',
      /^Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header\./,
    )
  })

  it.each([
    '',
    '2026',
    '2026-11-22T12:00:00Z',
    '20261322T120000Z',
    '20261122T250000Z',
    '20261122T12000xZ',
    '20261122 120000Z',
  ])('refuses the date "%s"', date => {
    const request = signed()
    const rawHeaders = withHeader(request.rawHeaders, 'x-amz-date', date)
    expectRefusal(
      () => readSignedRequest({ ...request, rawHeaders }),
      'IncompleteSignatureException',
      `Date must be in ISO-8601 'basic format'. Got '${date}'.`,
    )
  })

  it.each(['x-amz-date;host', 'host;host', 'Host;x-amz-date', 'host;;x-amz-date', ';host'])(
    'refuses the list of signed headers "%s"',
    list => {
      const request = signed()
      const authorization = headerOf(request, 'authorization').replace(SIGNED_HEADERS.join(';'), list)
      const rawHeaders = withHeader(request.rawHeaders, 'authorization', authorization)
      expectRefusal(
        () => readSignedRequest({ ...request, rawHeaders }),
        'IncompleteSignatureException',
        "'SignedHeaders' must be lowercase, sorted, and name each header once.",
      )
    },
  )
})

describe('checkScope', () => {
  it.each([
    ['Region', { ...SCOPE, region: 'us-east-1' }, 'Credential should be scoped to a valid Region, not us-east-1'],
    ['service', { ...SCOPE, service: 's3' }, "Credential should be scoped to correct service: 'kms'"],
    [
      'date',
      { ...SCOPE, date: '20261121' },
      'Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP',
    ],
    [
      'part of a date',
      { ...SCOPE, date: '2026' },
      'Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP',
    ],
  ])('refuses another %s', (_, scope, message) => {
    expectRefusal(() => verify(signed({ scope })), 'InvalidSignatureException', message)
  })

  it('refuses another terminator', () => {
    const request = signed()
    const authorization = headerOf(request, 'authorization').replace('aws4_request', 'aws5_request')
    const rawHeaders = withHeader(request.rawHeaders, 'authorization', authorization)
    expectRefusal(
      () => verify({ ...request, rawHeaders }),
      'InvalidSignatureException',
      "Credential should be scoped with a valid terminator: 'aws4_request'",
    )
  })

  it('accepts clocks that are five minutes apart, and not a millisecond more', () => {
    verify(signed(), SIGNED_AT_MS + FIVE_MINUTES_MS)
    verify(signed(), SIGNED_AT_MS - FIVE_MINUTES_MS)
    expectRefusal(
      () => verify(signed(), SIGNED_AT_MS + FIVE_MINUTES_MS + 1_000),
      'InvalidSignatureException',
      'Signature expired: 20261122T120000Z is now earlier than 20261122T120001Z (20261122T120501Z - 5 min.)',
    )
    expectRefusal(
      () => verify(signed(), SIGNED_AT_MS - FIVE_MINUTES_MS - 1_000),
      'InvalidSignatureException',
      'Signature not yet current: 20261122T120000Z is still later than 20261122T115959Z (20261122T115459Z + 5 min.)',
    )
    expect(() => verify(signed(), SIGNED_AT_MS + FIVE_MINUTES_MS + 1)).toThrow('Signature expired')
    expect(() => verify(signed(), SIGNED_AT_MS - FIVE_MINUTES_MS - 1)).toThrow('not yet current')
  })

  it('wants host signed, and every x-amz header that is present', () => {
    expectRefusal(
      () => verify(signed({ signedHeaders: ['x-amz-date', 'x-amz-target'] })),
      'IncompleteSignatureException',
      "'Host' must be a 'SignedHeader' in the AWS Authorization.",
    )
    expectRefusal(
      () => verify(signed({ signedHeaders: ['host', 'x-amz-date'] })),
      'IncompleteSignatureException',
      "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization.",
    )
    const request = signed()
    for (const name of ['X-Amz-Security-Token', 'x-amz-content-sha256', 'X-AMZ-ANYTHING']) {
      expectRefusal(
        () => verify({ ...request, rawHeaders: [...request.rawHeaders, name, 'value'] }),
        'IncompleteSignatureException',
        `'${name.toLowerCase()}' must be a 'SignedHeader' in the AWS Authorization.`,
      )
    }
  })

  it('refuses a signed header that is not there', () => {
    const request = signed()
    const rawHeaders = withHeader(request.rawHeaders, 'content-type', undefined)
    expectRefusal(
      () => verify({ ...request, rawHeaders }),
      'IncompleteSignatureException',
      "'content-type' is named as a SignedHeader, but it does not exist in the HTTP request.",
    )
  })

  it('checks scope before time, time before headers', () => {
    const late = SIGNED_AT_MS + 2 * FIVE_MINUTES_MS
    const signedHeaders = ['x-amz-date', 'x-amz-target']
    const foreign = { ...SCOPE, region: 'us-east-1' }
    expect(() => verify(signed({ scope: foreign, signedHeaders }), late)).toThrow('valid Region')
    expect(() => verify(signed({ signedHeaders }), late)).toThrow('Signature expired')
    expect(() => verify(signed({ signedHeaders }))).toThrow("'Host' must be")
  })
})

describe('checkSignature', () => {
  const request = signed()

  it.each<[string, Partial<IncomingRequest>]>([
    ['method', { method: 'PUT' }],
    ['path', { url: '/a' }],
    ['query', { url: '/?a=1' }],
    ['body', { body: Buffer.from(BODY.toString().replace('orders', 'Orders')) }],
    ['host', { rawHeaders: withHeader(request.rawHeaders, 'host', 'kms.example:8444') }],
    ['target', { rawHeaders: withHeader(request.rawHeaders, 'x-amz-target', 'TrentService.Decrypt') }],
    ['timestamp', { rawHeaders: withHeader(request.rawHeaders, 'x-amz-date', '20261122T120001Z') }],
    ['repeated header', { rawHeaders: [...request.rawHeaders, 'x-amz-target', 'TrentService.Decrypt'] }],
  ])('refuses a changed %s', (_, change) => {
    expectRefusal(() => verify({ ...request, ...change }), 'InvalidSignatureException', MISMATCH)
  })

  it('refuses every signature but the one', () => {
    const authorization = headerOf(request, 'authorization')
    const at = authorization.indexOf('Signature=') + 'Signature='.length
    const signature = authorization.slice(at)
    const others = Array.from(signature, (digit, i) => {
      const other = digit === '0' ? '1' : '0'
      return signature.slice(0, i) + other + signature.slice(i + 1)
    })
    for (const other of [
      ...others,
      signature.toUpperCase(),
      signature.slice(1),
      `${signature}0`,
      'x',
      '\u00ff'.repeat(64),
    ]) {
      const rawHeaders = withHeader(request.rawHeaders, 'authorization', authorization.slice(0, at) + other)
      expectRefusal(() => verify({ ...request, rawHeaders }), 'InvalidSignatureException', MISMATCH)
    }
  })

  it('refuses the key of another day, Region, service or owner', () => {
    expectRefusal(() => verify(request, SIGNED_AT_MS, SERVED, Buffer.alloc(32)), 'InvalidSignatureException', MISMATCH)
  })

  it('holds the body to the hash that the client declares', () => {
    const signedHeaders = [...SIGNED_HEADERS, 'x-amz-content-sha256'].sort()
    const declaring = (value: string) => signed({ headers: [...HEADERS, 'X-Amz-Content-Sha256', value], signedHeaders })
    verify(declaring(hash('sha256', BODY)))
    for (const value of [hash('sha256', 'other'), 'UNSIGNED-PAYLOAD', 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD', '']) {
      expectRefusal(
        () => verify(declaring(value)),
        'InvalidSignatureException',
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
      )
    }
  })
})
