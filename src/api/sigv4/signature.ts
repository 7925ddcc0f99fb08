/** The arithmetic of AWS Signature Version 4: string to sign, signing key, signature, and the comparison of signatures. */
import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import { ByteWriter } from '../../base/bytes.ts'
import { ALGORITHM } from './authorization.ts'

export const TERMINATOR = 'aws4_request'

export interface CredentialScope {
  /** YYYYMMDD. */
  readonly date: string
  readonly region: string
  readonly service: string
}

const text = new ByteWriter()
const NEWLINE = 0x0a
const SLASH = 0x2f

/** Of a canonical request. `timestamp` is YYYYMMDD'T'HHMMSS'Z'. Returns a view, which the next call overwrites. */
export function stringToSign(canonical: Uint8Array, timestamp: string, scope: CredentialScope): Uint8Array {
  text.clear()
  text.ascii(ALGORITHM).u8(NEWLINE).ascii(timestamp).u8(NEWLINE)
  text.ascii(scope.date).u8(SLASH).ascii(scope.region).u8(SLASH).ascii(scope.service).u8(SLASH).ascii(TERMINATOR)
  return text
    .u8(NEWLINE)
    .ascii(hash('sha256', canonical, 'hex'))
    .view()
}

/**
 * The signing key of one day, Region and service. This is the client's half, for tests and tools: the daemon gets its
 * signing keys from an HSM host, which alone opens secrets.
 */
export function deriveSigningKey(secret: string, scope: CredentialScope): Buffer {
  let key = Buffer.from(`AWS4${secret}`, 'utf8')
  for (const part of [scope.date, scope.region, scope.service, TERMINATOR]) {
    key = createHmac('sha256', key).update(part).digest()
  }
  return key
}

/** 64 lowercase hex digits. */
export function signatureOf(signingKey: Uint8Array, toSign: Uint8Array): string {
  return createHmac('sha256', signingKey).update(toSign).digest('hex')
}

const SIGNATURE_CHARACTERS = 64
// Two places to compare in, used within one synchronous call only: a signature is no secret, and buffers cost more than HMAC.
const expectedBytes = Buffer.alloc(SIGNATURE_CHARACTERS)
const claimedBytes = Buffer.alloc(SIGNATURE_CHARACTERS)

/** Compares in constant time. A claim that is not 64 characters long is no signature; hex digits must be lowercase. */
export function sameSignature(expected: string, claimed: string): boolean {
  if (claimed.length !== SIGNATURE_CHARACTERS) return false
  expectedBytes.write(expected, 'latin1')
  claimedBytes.write(claimed, 'latin1')
  return timingSafeEqual(expectedBytes, claimedBytes)
}
