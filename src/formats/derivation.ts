/**
 * What is derived from an HBK, and how (security.md 2.3): one DEK for each message, from the HBK and a fresh 128-bit
 * nonce N. Suites are named by their standard; a token profile maps them to mechanisms.
 *
 * ```
 * suite 1  AES-CBC-DATA           AES-256-CBC(HBK, IV = 16 zero bytes, data), no padding; DEK = the 32 output bytes
 *                                 data = label(4) + N[0..15] + filler(12)                               32 bytes
 * suite 2  SP800-108-HMAC-SHA256  HMAC-SHA-256(HBK, 00000001 + label + 00 + N + kid + mid + 00000100)
 *                                 (NIST SP 800-108r1 4.1, counter mode, one block, L = 256)
 * ```
 *
 * | purpose    | suite 1 label, filler  | suite 2 label           | used for                            |
 * |------------|------------------------|-------------------------|-------------------------------------|
 * | data       | `SRd1`, `strongroom:1` | `strongroom/dek/1`      | ciphertexts of KMS keys             |
 * | identity   | `SRi1`, `strongroom:i` | `strongroom/identity/1` | secrets of access keys              |
 * | session    | `SRs1`, `strongroom:s` | `strongroom/session/1`  | session tokens                      |
 *
 * In suite 1 the caller's bytes (N) never meet a label, and the IV is constant: with IV = N, one chosen nonce would undo
 * a label, and parts of different DEKs would be equal.
 */
import { ByteWriter } from '../base/bytes.ts'

export const KDF_SUITES = { 'AES-CBC-DATA': 1, 'SP800-108-HMAC-SHA256': 2 } as const
export type Kdf = keyof typeof KDF_SUITES

export const DEK_BYTES = 32
/** The IV of suite 1. */
export const ZERO_IV = Buffer.alloc(16)
/** Where N stands in the data of suite 1. */
export const CBC_NONCE_OFFSET = 4

export const PURPOSES = {
  data: { cbcLabel: 'SRd1', cbcFiller: 'strongroom:1', counterLabel: 'strongroom/dek/1' },
  identity: { cbcLabel: 'SRi1', cbcFiller: 'strongroom:i', counterLabel: 'strongroom/identity/1' },
  session: { cbcLabel: 'SRs1', cbcFiller: 'strongroom:s', counterLabel: 'strongroom/session/1' },
} as const
export type Purpose = keyof typeof PURPOSES

/** The 32 bytes that suite 1 encrypts. */
export function cbcDerivationData(purpose: Purpose, nonce: Buffer): Buffer {
  const { cbcLabel, cbcFiller } = PURPOSES[purpose]
  return new ByteWriter(32).ascii(cbcLabel).raw(nonce).ascii(cbcFiller).finish()
}

/** The fixed input of suite 2, which follows the 32-bit counter: label 00 N kid mid L. */
export function counterFixedInput(purpose: Purpose, nonce: Buffer, kid: Buffer, mid: Buffer): Buffer {
  return new ByteWriter(96)
    .ascii(PURPOSES[purpose].counterLabel)
    .u8(0)
    .raw(nonce)
    .raw(kid)
    .raw(mid)
    .u32(DEK_BYTES * 8)
    .finish()
}
