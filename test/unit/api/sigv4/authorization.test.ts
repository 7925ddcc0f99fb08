/** The Authorization header: what is read from it, and AWS's words for what cannot be. */
import { hash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { AUTHORIZATION_MAX_BYTES, parseAuthorization } from '../../../../src/api/sigv4/authorization.ts'
import { KmsError } from '../../../../src/model/errors.ts'

const CREDENTIAL = 'Credential=AKIDEXAMPLE/20261122/on-prem-1/kms/aws4_request'
const SIGNED_HEADERS = 'SignedHeaders=host;x-amz-date'
const SIGNATURE = `Signature=${'0a'.repeat(32)}`
const PARSED = {
  accessKeyId: 'AKIDEXAMPLE',
  date: '20261122',
  region: 'on-prem-1',
  service: 'kms',
  terminator: 'aws4_request',
  signedHeaders: 'host;x-amz-date',
  signature: '0a'.repeat(32),
}

function refusal(header: string, dated = true): string {
  try {
    parseAuthorization(header, dated)
  } catch (error) {
    expect(error).toBeInstanceOf(KmsError)
    expect((error as KmsError).code).toBe('IncompleteSignatureException')
    return (error as KmsError).message
  }
  throw new Error('was accepted')
}

describe('parseAuthorization', () => {
  it.each([
    `AWS4-HMAC-SHA256 ${CREDENTIAL}, ${SIGNED_HEADERS}, ${SIGNATURE}`,
    `AWS4-HMAC-SHA256 ${CREDENTIAL},${SIGNED_HEADERS},${SIGNATURE}`,
    `AWS4-HMAC-SHA256   ${SIGNATURE} ,  ${SIGNED_HEADERS} , ${CREDENTIAL}  ,`,
  ])('takes the parts in any order, with any spaces: %s', header => {
    expect(parseAuthorization(header, true)).toEqual(PARSED)
  })

  it.each([
    ['no value', 'AWS4-HMAC-SHA256 Credential'],
    ['a bearer token', 'Bearer eyJhbGciOiJIUzI1NiJ9'],
    ['one word', 'hunter2'],
  ])('answers %s with a digest, never with the header', (_, header) => {
    const message = refusal(header)
    expect(message).toBe(
      `Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '${hash('sha256', header, 'base64')}'.`,
    )
  })

  it('names everything that is missing', () => {
    const header = 'Basic aHVudGVyMg=='
    expect(refusal(header, false)).toBe(
      "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. " +
        "Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a " +
        "'X-Amz-Date' or a 'Date' header. (Hashed with SHA-256 and encoded with Base64) " +
        `Authorization=${hash('sha256', header, 'base64')}`,
    )
    expect(refusal(`AWS4-HMAC-SHA256 ${CREDENTIAL}, ${SIGNED_HEADERS}`)).toMatch(
      /^Authorization header requires 'Signature' parameter\. \(Hashed/,
    )
    expect(refusal(`AWS4-HMAC-SHA256 ${CREDENTIAL}, ${SIGNED_HEADERS}, Signature=`)).toMatch(/requires 'Signature'/)
  })

  it.each(['AWS4-HMAC-SHA1', 'AWS4-ECDSA-P256-SHA256', 'aws4-hmac-sha256', 'Bearer'])(
    'refuses the algorithm %s',
    algorithm => {
      expect(refusal(`${algorithm} ${CREDENTIAL}, ${SIGNED_HEADERS}, ${SIGNATURE}`)).toBe(
        `Unsupported AWS 'algorithm': '${algorithm}'.`,
      )
    },
  )

  it('refuses a part that is given twice', () => {
    expect(refusal(`AWS4-HMAC-SHA256 ${CREDENTIAL}, ${CREDENTIAL}, ${SIGNED_HEADERS}, ${SIGNATURE}`)).toBe(
      "Authorization header has more than one 'Credential' parameter.",
    )
  })

  it.each(['', 'AKIDEXAMPLE', 'a/b/c/d', 'a/b/c/d/e/f', 'a//c/d/e', '/b/c/d/e', `${'a'.repeat(300)}/b/c/d/e`])(
    'refuses the credential "%s" and does not repeat it',
    credential => {
      const message = refusal(`AWS4-HMAC-SHA256 Credential=${credential}, ${SIGNED_HEADERS}, ${SIGNATURE}`)
      expect(message).toMatch(/^(?:Credential must have exactly 5 slash-delimited elements|.*requires 'Credential')/)
      if (credential.length > 1) expect(message).not.toContain(credential)
    },
  )

  it('bounds the header', () => {
    expect(refusal('A'.repeat(AUTHORIZATION_MAX_BYTES + 1))).toBe('Authorization header is too long.')
  })
})
