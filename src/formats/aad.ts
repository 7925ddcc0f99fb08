/**
 * Canonical encryption context and the AAD of a ciphertext (security.md 2.1 and 2.2).
 *
 * ```
 * canon  = u16 number of pairs, then per pair, sorted by the UTF-8 bytes of the key:
 *          u16 length + key bytes, u16 length + value bytes         (absent = empty = 00 00)
 * ecHash = SHA-256("strongroom/ec/1" 00 canon)                                       32 bytes
 * AAD    = ciphertext bytes 0..69, then ecHash                                      102 bytes
 * ```
 *
 * The order is that of the bytes (`Buffer.compare`): JavaScript's own sort differs beyond the Basic Multilingual Plane.
 * Nothing is normalised or folded.
 */
import { hash } from 'node:crypto'
import { ByteWriter } from '../base/bytes.ts'
import type { EncryptionContext } from '../model/encryption-context.ts'

export const CONTEXT_HASH_BYTES = 32
const LABEL = Buffer.from('strongroom/ec/1\0', 'latin1')

/** The canonical bytes. Throws RangeError beyond 65,535 pairs or bytes of one string; callers bound both far lower. */
export function canonicalContext(context: EncryptionContext): Buffer {
  const pairs = [...context].map(([key, value]) => [Buffer.from(key, 'utf8'), Buffer.from(value, 'utf8')] as const)
  pairs.sort(([a], [b]) => Buffer.compare(a, b))
  const writer = new ByteWriter().u16(pairs.length)
  for (const [key, value] of pairs) writer.lp(key).lp(value)
  return writer.finish()
}

const EMPTY_CONTEXT_HASH = hashOf(canonicalContext(new Map()))

/** SHA-256 of the labelled canonical context: 32 bytes to be read, which is all of it that the crypto world is told. */
export function contextHash(context: EncryptionContext): Buffer {
  return context.size === 0 ? EMPTY_CONTEXT_HASH : hashOf(canonicalContext(context))
}

function hashOf(canonical: Buffer): Buffer {
  return hash('sha256', Buffer.concat([LABEL, canonical]), 'buffer')
}
