/**
 * Verification of a signed request, in the three steps between which the caller has work of its own (authz.md 1.5):
 *
 *   readSignedRequest   missing or malformed authentication        then the caller looks the access key up
 *   checkScope          scope, time, signed headers                then the caller gets the signing key
 *   checkSignature      payload hash and signature
 *
 * All are synchronous. Authentication is in the header only: the query form can be replayed for days (security.md 2.7).
 */
import { hash } from 'node:crypto'
import { MINUTE_MS } from '../../base/clock.ts'
import { KmsError } from '../../model/errors.ts'
import { type Authorization, echo, incomplete, parseAuthorization } from './authorization.ts'
import { canonicalRequest } from './canonical-request.ts'
import { foldHeaders, type HeaderFields } from './headers.ts'
import { Remembered } from './remembered.ts'
import { sameSignature, signatureOf, stringToSign, TERMINATOR } from './signature.ts'

/** As KMS enforces it, narrower than SigV4's general 15 minutes. */
const CLOCK_SKEW_MINUTES = 5
const CLOCK_SKEW_MS = CLOCK_SKEW_MINUTES * MINUTE_MS

/** A request as Node's HTTP server has it, its body complete. */
export interface IncomingRequest {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly body: Uint8Array
}

/** What this endpoint answers for. */
export interface Served {
  readonly regions: ReadonlySet<string>
  readonly services: ReadonlySet<string>
}

/** A request with what it claims about its signer; claims only, until checkSignature has returned. */
export interface SignedRequest extends Authorization {
  readonly request: IncomingRequest
  readonly headers: HeaderFields
  /** The X-Amz-Security-Token, for temporary credentials. */
  readonly sessionToken: string | undefined
  /** The date of the request as YYYYMMDD'T'HHMMSS'Z'. */
  readonly timestamp: string
  readonly signedAtMs: number
  readonly signedHeaderNames: readonly string[]
}

/**
 * Reads who claims to have signed a request. Throws KmsError: MissingAuthenticationTokenException when nobody does,
 * IncompleteSignatureException when it cannot be read. `headers` are those of the request, where they are folded already.
 */
export function readSignedRequest(
  request: IncomingRequest,
  headers: HeaderFields = foldHeaders(request.rawHeaders),
): SignedRequest {
  const header = headers.authorization
  if (request.url.includes('?')) refuseQueryForm(request.url, header)
  if (!header) throw new KmsError('MissingAuthenticationTokenException', 'Missing Authentication Token')
  const amzDate = headers['x-amz-date']
  const httpDate = amzDate === undefined ? headers.date : undefined
  const authorization = parseAuthorization(header, (amzDate ?? httpDate) !== undefined)
  const timestamp = amzDate ?? basicTimestamp(Date.parse(httpDate!)) ?? httpDate!
  const signedAtMs = parseTimestamp(timestamp)
  if (signedAtMs === undefined) throw incomplete(`Date must be in ISO-8601 'basic format'. Got '${echo(timestamp)}'.`)
  // Written out, because spreading the parts costs as much as parsing them.
  return {
    accessKeyId: authorization.accessKeyId,
    date: authorization.date,
    region: authorization.region,
    service: authorization.service,
    terminator: authorization.terminator,
    signedHeaders: authorization.signedHeaders,
    signature: authorization.signature,
    request,
    headers,
    sessionToken: headers['x-amz-security-token'],
    timestamp,
    signedAtMs,
    signedHeaderNames: signedHeaderLists.of(authorization.signedHeaders),
  }
}

/**
 * Checks that the request is meant for this endpoint, now, and that its signature covers what it must. Throws KmsError
 * InvalidSignatureException for scope and time, IncompleteSignatureException for the headers.
 */
export function checkScope(signed: SignedRequest, { regions, services }: Served, nowMs: number): void {
  const { terminator, date, region, service, timestamp, signedAtMs } = signed
  if (terminator !== TERMINATOR) {
    throw invalid("Credential should be scoped with a valid terminator: 'aws4_request'")
  }
  if (date.length !== 8 || !timestamp.startsWith(date)) {
    throw invalid('Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP')
  }
  if (!regions.has(region)) throw invalid(`Credential should be scoped to a valid Region, not ${echo(region)}`)
  if (!services.has(service)) {
    const correct = Array.from(services, name => `'${name}'`).join(', ')
    throw invalid(`Credential should be scoped to correct service: ${correct}`)
  }
  if (signedAtMs < nowMs - CLOCK_SKEW_MS) {
    const limit = basicTimestamp(nowMs - CLOCK_SKEW_MS)
    throw invalid(
      `Signature expired: ${timestamp} is now earlier than ${limit} (${basicTimestamp(nowMs)} - ${CLOCK_SKEW_MINUTES} min.)`,
    )
  }
  if (signedAtMs > nowMs + CLOCK_SKEW_MS) {
    const limit = basicTimestamp(nowMs + CLOCK_SKEW_MS)
    throw invalid(
      `Signature not yet current: ${timestamp} is still later than ${limit} (${basicTimestamp(nowMs)} + ${CLOCK_SKEW_MINUTES} min.)`,
    )
  }
  checkSignedHeaders(signed)
}

/**
 * Checks the signature with the 32-byte signing key of the claimed access key, date, Region and service. When it returns,
 * the holder of that key signed this method, target, body and these headers. Throws KmsError InvalidSignatureException.
 */
export function checkSignature(signed: SignedRequest, signingKey: Uint8Array): void {
  const { request, headers, timestamp, signedHeaders, signedHeaderNames } = signed
  const payloadHash = hash('sha256', request.body, 'hex')
  const declared = headers['x-amz-content-sha256']
  // UNSIGNED-PAYLOAD and the STREAMING- forms are S3's, and end here too.
  if (declared !== undefined && declared !== payloadHash) {
    throw invalid("The provided 'x-amz-content-sha256' header does not match what was computed.")
  }
  const canonical = canonicalRequest({
    method: request.method,
    url: request.url,
    headers,
    signedHeaders,
    signedHeaderNames,
    payloadHash,
  })
  if (!sameSignature(signatureOf(signingKey, stringToSign(canonical, timestamp, signed)), signed.signature)) {
    throw invalid(
      'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    )
  }
}

function invalid(message: string): KmsError {
  return new KmsError('InvalidSignatureException', message)
}

function refuseQueryForm(url: string, header: string | undefined): void {
  if (!/[?&]x-amz-(?:algorithm|credential|signature)=/i.test(url)) return
  throw incomplete(
    header === undefined
      ? 'Authentication in the query string is not accepted: sign the request with an Authorization header.'
      : "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
  )
}

const signedHeaderLists = new Remembered(splitSignedHeaders)

/** Lowercase, in order and each once, as SigV4 prescribes: only then does counting show that no header is unsigned. */
function splitSignedHeaders(text: string): readonly string[] {
  const names = text.split(';')
  let before = ''
  for (const name of names) {
    if (name <= before || name !== name.toLowerCase()) {
      throw incomplete("'SignedHeaders' must be lowercase, sorted, and name each header once.")
    }
    before = name
  }
  return names
}

const AMZ = 'x-amz-'
const OWN = 'x-strongroom-'
/** Headers that mean something to us. */
const decides = (name: string) => name.startsWith(AMZ) || name.startsWith(OWN)

/**
 * Every signed header is present, `host` is signed, and so is every `x-amz-*` and `x-strongroom-*` that is present: otherwise
 * somebody between the client and us could add an X-Amz-Target, a session token or another caller to a signed request.
 */
function checkSignedHeaders({ headers, signedHeaderNames }: SignedRequest): void {
  let host = false
  let signed = 0
  for (const name of signedHeaderNames) {
    if (headers[name] === undefined) {
      throw incomplete(`'${echo(name)}' is named as a SignedHeader, but it does not exist in the HTTP request.`)
    }
    if (name === 'host') host = true
    else if (decides(name)) signed++
  }
  if (!host) throw mustBeSigned('Host')
  let present = 0
  for (const name in headers) if (decides(name)) present++
  if (present === signed) return
  for (const name in headers) {
    if (decides(name) && !signedHeaderNames.includes(name)) throw mustBeSigned(name)
  }
}

function mustBeSigned(name: string): KmsError {
  return incomplete(`'${echo(name)}' must be a 'SignedHeader' in the AWS Authorization.`)
}

const DIGIT_0 = 0x30

/** Milliseconds of YYYYMMDD'T'HHMMSS'Z'; undefined for any other text. */
function parseTimestamp(text: string): number | undefined {
  if (text.length !== 16 || text[8] !== 'T' || text[15] !== 'Z') return undefined
  const year = digits(text, 0, 4)
  const month = digits(text, 4, 6)
  const day = digits(text, 6, 8)
  const hour = digits(text, 9, 11)
  const minute = digits(text, 11, 13)
  const second = digits(text, 13, 15)
  // Comparisons with NaN are false, so a part that is no number fails here.
  const inRange = year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= 31
  if (!inRange || !(hour <= 23 && minute <= 59 && second <= 60)) return undefined
  return Date.UTC(year, month - 1, day, hour, minute, second)
}

function digits(text: string, from: number, to: number): number {
  let value = 0
  for (let i = from; i < to; i++) {
    const digit = text.charCodeAt(i) - DIGIT_0
    if (!(digit >= 0 && digit <= 9)) return Number.NaN
    value = value * 10 + digit
  }
  return value
}

/** YYYYMMDD'T'HHMMSS'Z'; undefined when `ms` is no time. */
function basicTimestamp(ms: number): string | undefined {
  if (Number.isNaN(ms)) return undefined
  return `${new Date(ms).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`
}
