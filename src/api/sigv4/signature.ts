/** The arithmetic of AWS Signature Version 4: string to sign, signing key, signature, and the comparison of signatures. */
import { createHmac, hash, timingSafeEqual } from 'node:crypto'
import { ALGORITHM } from './authorization.ts'

export const TERMINATOR = 'aws4_request'

export interface CredentialScope {
  /** YYYYMMDD. */
  readonly date: string
  readonly region: string
  readonly service: string
}

/** `canonical` is a canonical request: its characters are bytes. `timestamp` is YYYYMMDD'T'HHMMSS'Z'. */
export function stringToSign(canonical: string, timestamp: string, scope: CredentialScope): string {
  const digest = hash('sha256', Buffer.from(canonical, 'latin1'), 'hex')
  return `${ALGORITHM}\n${timestamp}\n${scope.date}/${scope.region}/${scope.service}/${TERMINATOR}\n${digest}`
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
export function signatureOf(signingKey: Uint8Array, text: string): string {
  return createHmac('sha256', signingKey).update(text, 'latin1').digest('hex')
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
