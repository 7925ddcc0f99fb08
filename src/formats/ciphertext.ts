/**
 * CiphertextBlob, format 1 (security.md 2.2): what Encrypt and GenerateDataKey return and Decrypt takes.
 *
 * ```
 * offset  bytes
 *      0      4  magic 53 52 43 01 ("SRC", format 1)
 *      4      1  suite: 1 AES-CBC-DATA, 2 SP800-108-HMAC-SHA256 (how the DEK is derived)
 *      5     17  kid: the KMS key
 *     22     32  mid: its key material
 *     54     16  N: nonce of the DEK, from the token's random generator
 *     70     12  IV of AES-256-GCM
 *     82      n  ciphertext, as long as the plaintext
 *   82+n     16  GCM tag
 * ```
 *
 * AAD = bytes 0..69 + ecHash (aad.ts). The IV stays outside, since some tokens choose it while they encrypt; GCM binds
 * it all the same (NIST SP 800-38D 7.1).
 */
import { MalformedBytes } from '../base/bytes.ts'
import { KID_BYTES } from '../model/key-id.ts'
import { CONTEXT_HASH_BYTES } from './aad.ts'

export const MID_BYTES = 32
export const NONCE_BYTES = 16
export const IV_BYTES = 12
export const TAG_BYTES = 16
export const HEADER_BYTES = 70
export const AAD_BYTES = HEADER_BYTES + CONTEXT_HASH_BYTES
/** What a ciphertext is longer than its plaintext. */
export const OVERHEAD_BYTES = HEADER_BYTES + IV_BYTES + TAG_BYTES

const MAGIC = 0x53524301
const SUITE_OFFSET = 4
const KID_OFFSET = 5
const MID_OFFSET = KID_OFFSET + KID_BYTES
const NONCE_OFFSET = MID_OFFSET + MID_BYTES

/** The parts of a ciphertext, as views of its bytes. Nothing of it is proven until GCM has opened it. */
export interface CiphertextParts {
  readonly suite: number
  readonly kid: Buffer
  readonly mid: Buffer
  readonly nonce: Buffer
  readonly iv: Buffer
  /** Ciphertext and tag, as AES-GCM returns and takes them. */
  readonly sealed: Buffer
}

/** Splits a blob. Throws {@link MalformedBytes} when it is too short or of another format. */
export function parseCiphertext(blob: Buffer): CiphertextParts {
  requireFormat(blob)
  return {
    suite: blob.readUInt8(SUITE_OFFSET),
    kid: blob.subarray(KID_OFFSET, MID_OFFSET),
    mid: blob.subarray(MID_OFFSET, NONCE_OFFSET),
    nonce: blob.subarray(NONCE_OFFSET, HEADER_BYTES),
    iv: blob.subarray(HEADER_BYTES, HEADER_BYTES + IV_BYTES),
    sealed: blob.subarray(HEADER_BYTES + IV_BYTES),
  }
}

/** The kid of a blob, alone. Throws as {@link parseCiphertext}. */
export function kidOfCiphertext(blob: Buffer): Buffer {
  requireFormat(blob)
  return blob.subarray(KID_OFFSET, MID_OFFSET)
}

/** The mid of a blob, alone and in hex. Throws as {@link parseCiphertext}. */
export function midOfCiphertext(blob: Buffer): string {
  requireFormat(blob)
  return blob.toString('hex', MID_OFFSET, NONCE_OFFSET)
}

function requireFormat(blob: Buffer): void {
  if (blob.length < OVERHEAD_BYTES) throw new MalformedBytes('ciphertext too short')
  if (blob.readUInt32BE(0) !== MAGIC) throw new MalformedBytes('not a ciphertext')
}

/**
 * Writes header, IV and room for `sealedBytes` of ciphertext and tag. The token's output goes to the returned views: the
 * IV too, where the token makes it.
 */
export function startCiphertext(
  suite: number,
  kid: Buffer,
  mid: Buffer,
  nonce: Buffer,
  iv: Buffer,
  sealedBytes: number,
): { blob: Buffer; iv: Buffer; sealed: Buffer } {
  if (kid.length !== KID_BYTES || mid.length !== MID_BYTES || nonce.length !== NONCE_BYTES || iv.length !== IV_BYTES) {
    throw new RangeError('a header field has the wrong size')
  }
  const blob = Buffer.allocUnsafe(HEADER_BYTES + IV_BYTES + sealedBytes)
  blob.writeUInt32BE(MAGIC, 0)
  blob.writeUInt8(suite, SUITE_OFFSET)
  blob.set(kid, KID_OFFSET)
  blob.set(mid, MID_OFFSET)
  blob.set(nonce, NONCE_OFFSET)
  blob.set(iv, HEADER_BYTES)
  const sealedAt = HEADER_BYTES + IV_BYTES
  return { blob, iv: blob.subarray(HEADER_BYTES, sealedAt), sealed: blob.subarray(sealedAt) }
}

/** Writes the AAD of a blob into `target`, which is {@link AAD_BYTES} long: header, then the hash of the context. */
export function writeAad(target: Buffer, blob: Buffer, contextHash: Buffer): Buffer {
  target.set(blob.subarray(0, HEADER_BYTES), 0)
  target.set(contextHash, HEADER_BYTES)
  return target
}
