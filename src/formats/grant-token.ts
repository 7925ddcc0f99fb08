/**
 * Grant tokens (security.md 2.7): they name a grant to a daemon that may not have heard of it yet. Not a credential: the
 * caller must still be the grantee.
 *
 * | bytes | field |
 * | --- | --- |
 * | 1 | version, 1 |
 * | 32 | grant id |
 * | 16 | first bytes of SHA-256("strongroom/grant-token/1" + seed) |
 */
import { hash } from 'node:crypto'
import { ByteReader, ByteWriter, equalConstantTime, MalformedBytes } from '../base/bytes.ts'

const VERSION = 1
const GRANT_ID_BYTES = 32
const TAG_BYTES = 16
const LABEL = 'strongroom/grant-token/1'

/** `grantId` is 64 hex digits; `seed` are bytes of the grant that only the store knows. */
export function writeGrantToken(grantId: string, seed: Buffer): string {
  const id = Buffer.from(grantId, 'hex')
  return new ByteWriter().u8(VERSION).fixed(id, GRANT_ID_BYTES).raw(tagOf(seed)).finish().toString('base64url')
}

export interface GrantToken {
  readonly grantId: string
  /** Whether the token was made from this seed. */
  isOf(seed: Buffer): boolean
}

/** Undefined for what has not the form of a token: to its bearer no different from an unknown one. */
export function readGrantToken(token: string): GrantToken | undefined {
  const bytes = Buffer.from(token, 'base64url')
  // Reading base64url skips what does not belong to it: only one text is the token.
  if (bytes.toString('base64url') !== token) return undefined
  try {
    const reader = new ByteReader(bytes)
    if (reader.u8() !== VERSION) return undefined
    const grantId = reader.raw(GRANT_ID_BYTES).toString('hex')
    const tag = reader.raw(TAG_BYTES)
    reader.end()
    return { grantId, isOf: seed => equalConstantTime(tag, tagOf(seed)) }
  } catch (error) {
    if (error instanceof MalformedBytes) return undefined
    throw error
  }
}

function tagOf(seed: Buffer): Buffer {
  return hash('sha256', Buffer.concat([Buffer.from(LABEL, 'ascii'), seed]), 'buffer').subarray(0, TAG_BYTES)
}
