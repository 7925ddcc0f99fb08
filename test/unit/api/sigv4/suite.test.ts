/** The published AWS SigV4 test suite: every intermediate text, and then the whole verification. */

import { hash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it } from '@jest/globals'
import { canonicalRequest } from '../../../../src/api/sigv4/canonical-request.ts'
import { foldHeaders } from '../../../../src/api/sigv4/headers.ts'
import { deriveSigningKey, signatureOf, stringToSign } from '../../../../src/api/sigv4/signature.ts'
import {
  checkScope,
  checkSignature,
  type IncomingRequest,
  readSignedRequest,
} from '../../../../src/api/sigv4/verify.ts'

const SUITE = join(import.meta.dirname, '../../../vectors/sigv4')
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const TIMESTAMP = '20150830T123600Z'
const NOW_MS = Date.UTC(2015, 7, 30, 12, 36, 0)
const SCOPE = { date: '20150830', region: 'us-east-1', service: 'service' }
const SERVED = { regions: new Set(['us-east-1']), services: new Set(['service']) }
const SIGNING_KEY = deriveSigningKey(SECRET, SCOPE)
/** In the canonical request of this one, but not in its `.req`. */
const SESSION_TOKENS: Readonly<Record<string, string>> = {
  'get-vanilla-with-session-token': '6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267',
}

const cases = readdirSync(SUITE, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.req'))
  .map(file => ({ name: basename(file, '.req'), stem: join(SUITE, file.slice(0, -'.req'.length)) }))

describe('the AWS SigV4 suite', () => {
  it('is there', () => {
    expect(cases).toHaveLength(34)
  })

  describe.each(cases)('$name', ({ name, stem }) => {
    const authorization = read(`${stem}.authz`)
    const request = requestOf(read(`${stem}.req`), SESSION_TOKENS[name])
    const signedHeaders = /SignedHeaders=([^,]+)/.exec(authorization)![1]!

    it('has the published canonical request', () => {
      const { method, url, rawHeaders, body } = request
      const payloadHash = hash('sha256', body)
      const headers = foldHeaders(rawHeaders)
      const signedHeaderNames = signedHeaders.split(';')
      const canonical = canonicalRequest({ method, url, headers, signedHeaders, signedHeaderNames, payloadHash })
      expect(textOf(canonical)).toBe(read(`${stem}.creq`))
    })

    it('has the published string to sign', () => {
      expect(textOf(stringToSign(bytesOf(`${stem}.creq`), TIMESTAMP, SCOPE))).toBe(read(`${stem}.sts`))
    })

    it('has the published signature', () => {
      expect(authorization.endsWith(`Signature=${signatureOf(SIGNING_KEY, bytesOf(`${stem}.sts`))}`)).toBe(true)
    })

    it('is accepted, and no longer when a byte of its body is added', () => {
      const rawHeaders = [...request.rawHeaders, 'Authorization', authorization]
      const signed = readSignedRequest({ ...request, rawHeaders })
      checkScope(signed, SERVED, NOW_MS)
      expect(() => checkSignature(signed, SIGNING_KEY)).not.toThrow()
      const longer = readSignedRequest({
        ...request,
        rawHeaders,
        body: Buffer.concat([request.body, Buffer.from(' ')]),
      })
      expect(() => checkSignature(longer, SIGNING_KEY)).toThrow('does not match')
    })
  })

  it('refuses a session token that was added after signing', () => {
    const stem = join(SUITE, 'post-sts-token/post-sts-header-after/post-sts-header-after')
    const request = requestOf(read(`${stem}.req`), 'AQoDYXdzEPT')
    const rawHeaders = [...request.rawHeaders, 'Authorization', read(`${stem}.authz`)]
    expect(() => checkScope(readSignedRequest({ ...request, rawHeaders }), SERVED, NOW_MS)).toThrow(
      "'x-amz-security-token' must be a 'SignedHeader' in the AWS Authorization.",
    )
  })
})

/** Characters are bytes, as Node hands out what is on the wire. */
function read(file: string): string {
  return readFileSync(file, 'latin1')
}

function bytesOf(file: string): Buffer {
  return readFileSync(file)
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

/** A request line, headers with folded lines, and after an empty line the body. */
function requestOf(text: string, sessionToken: string | undefined): IncomingRequest {
  const [head = '', body = ''] = text.split('\n\n')
  const [requestLine = '', ...lines] = head.replace(/\n$/, '').split(/\n(?=\S)/)
  const rawHeaders = lines.flatMap(line => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1)]
  })
  if (sessionToken !== undefined) rawHeaders.push('X-Amz-Security-Token', sessionToken)
  const space = requestLine.indexOf(' ')
  const url = requestLine.slice(space + 1, requestLine.lastIndexOf(' HTTP/1.1'))
  return { method: requestLine.slice(0, space), url, rawHeaders, body: Buffer.from(body, 'latin1') }
}
