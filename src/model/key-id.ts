/**
 * Key ids: a UUID, or `mrk-` and 32 hex digits for a multi-Region key; and `kid`, their 17-byte form in every format
 * (security.md: one byte 0 for a UUID or 1 for mrk, then the 16 raw bytes).
 */
import { randomUUID } from 'node:crypto'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const MULTI_REGION = /^mrk-[0-9a-f]{32}$/

export const KID_BYTES = 17
const KIND_UUID = 0
const KIND_MULTI_REGION = 1

export function newKeyId(): string {
  return randomUUID()
}

/** The id of a new multi-Region key, the same in each of its regions. */
export function newMultiRegionKeyId(): string {
  return `mrk-${randomUUID().replaceAll('-', '')}`
}

/** Whether it is the id of a multi-Region key. */
export function isMultiRegionKeyId(keyId: string): boolean {
  return MULTI_REGION.test(keyId)
}

/** Whether these 17 bytes are those of a multi-Region key. */
export function isMultiRegionKid(kid: Buffer): boolean {
  return kid[0] === KIND_MULTI_REGION
}

export function isKeyId(text: string): boolean {
  return UUID.test(text) || MULTI_REGION.test(text)
}

/** The 17 bytes of a well-formed key id. Throws RangeError for any other text. */
export function kidOf(keyId: string): Buffer {
  const multiRegion = MULTI_REGION.test(keyId)
  if (!multiRegion && !UUID.test(keyId)) throw new RangeError('not a key id')
  const hex = multiRegion ? keyId.slice(4) : keyId.replaceAll('-', '')
  return Buffer.concat([Buffer.from([multiRegion ? KIND_MULTI_REGION : KIND_UUID]), Buffer.from(hex, 'hex')])
}

/** The key id of 17 bytes; undefined when the first byte names no kind. */
export function keyIdOf(kid: Buffer): string | undefined {
  if (kid.length !== KID_BYTES) return undefined
  const hex = kid.toString('hex', 1)
  if (kid[0] === KIND_MULTI_REGION) return `mrk-${hex}`
  if (kid[0] !== KIND_UUID) return undefined
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
