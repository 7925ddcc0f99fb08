/** Requests for the tests of SigV4: a signer of our own, so that each test can leave out or change one part. */
import { hash } from 'node:crypto'
import { canonicalRequest } from '../../../../src/api/sigv4/canonical-request.ts'
import { foldHeaders } from '../../../../src/api/sigv4/headers.ts'
import { deriveSigningKey, signatureOf, stringToSign } from '../../../../src/api/sigv4/signature.ts'
import type { IncomingRequest } from '../../../../src/api/sigv4/verify.ts'

export const ACCESS_KEY_ID = 'AKIAIOSFODNN7EXAMPLE'
export const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
export const TIMESTAMP = '20261122T120000Z'
export const SIGNED_AT_MS = Date.UTC(2026, 10, 22, 12, 0, 0)
export const SCOPE = { date: '20261122', region: 'on-prem-1', service: 'kms' }
export const SERVED = { regions: new Set(['on-prem-1']), services: new Set(['kms']) }
export const SIGNING_KEY = deriveSigningKey(SECRET, SCOPE)

export const HEADERS: readonly string[] = [
  'Host',
  'kms.example:8443',
  'Content-Type',
  'application/x-amz-json-1.1',
  'X-Amz-Date',
  TIMESTAMP,
  'X-Amz-Target',
  'TrentService.GenerateDataKey',
]
export const SIGNED_HEADERS: readonly string[] = ['content-type', 'host', 'x-amz-date', 'x-amz-target']

interface Draft {
  readonly method?: string
  readonly url?: string
  readonly headers?: readonly string[]
  readonly signedHeaders?: readonly string[]
  readonly body?: Buffer
  readonly timestamp?: string
  readonly scope?: typeof SCOPE
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string }
}

export const BODY = Buffer.from('{"KeyId":"alias/orders","KeySpec":"AES_256"}')

/** A request whose signature is right for whatever the draft says, sensible or not. */
export function signed({
  method = 'POST',
  url = '/',
  headers = HEADERS,
  signedHeaders = SIGNED_HEADERS,
  body = BODY,
  timestamp = TIMESTAMP,
  scope = SCOPE,
  credentials: { accessKeyId, secretAccessKey } = { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET },
}: Draft = {}): IncomingRequest {
  const fields = foldHeaders(headers)
  const payloadHash = hash('sha256', body)
  const canonical = canonicalRequest({
    ...{ method, url, headers: fields, payloadHash },
    ...{ signedHeaders: signedHeaders.join(';'), signedHeaderNames: signedHeaders },
  })
  const signature = signatureOf(deriveSigningKey(secretAccessKey, scope), stringToSign(canonical, timestamp, scope))
  const credential = `${accessKeyId}/${scope.date}/${scope.region}/${scope.service}/aws4_request`
  const authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`
  return { method, url, rawHeaders: [...headers, 'Authorization', authorization], body }
}

/** The same headers with the value of one replaced; `undefined` takes it out. */
export function withHeader(rawHeaders: readonly string[], name: string, value: string | undefined): string[] {
  const changed: string[] = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const matches = rawHeaders[i]!.toLowerCase() === name
    if (matches && value === undefined) continue
    changed.push(rawHeaders[i]!, matches ? value! : rawHeaders[i + 1]!)
  }
  return changed
}

export function headerOf({ rawHeaders }: IncomingRequest, name: string): string {
  return foldHeaders(rawHeaders)[name] ?? ''
}
