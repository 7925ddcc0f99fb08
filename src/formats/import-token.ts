/**
 * Import token, format 1 (security.md 2.7): what GetParametersForImport hands out beside the public key. It names one
 * wrapping key and binds it to the KMS key, the algorithm and the time until which both are good.
 *
 * ```
 * 01  importId(16)  MAC(32)                                                                          49 bytes
 *
 * MAC = HMAC-SHA-256(domain MAC key, "strongroom/import/1" 00 + domainId(16) + lp(region) lp(account) kid(17)
 *       + importId(16) + lp(algorithm) lp(wrapping key spec) + SHA-256(SPKI) + u64 notAfter, in milliseconds)
 * ```
 */
import { ByteReader, ByteWriter, MalformedBytes } from '../base/bytes.ts'
import { KID_BYTES } from '../model/key-id.ts'
import { DOMAIN_ID_BYTES, SPKI_DIGEST_BYTES } from './ekt.ts'

export const IMPORT_ID_BYTES = 16
export const IMPORT_MAC_BYTES = 32

const VERSION = 1
const LABEL = 'strongroom/import/1'
const NAME_MAX_BYTES = 64

export interface ImportToken {
  readonly importId: Buffer
  readonly mac: Buffer
}

/** Everything that the MAC binds; the host takes all but the request's own members from the wrapping key's verified EKT. */
export interface ImportTerms {
  readonly domainId: Buffer
  readonly region: string
  readonly account: string
  readonly kid: Buffer
  readonly importId: Buffer
  readonly algorithm: string
  readonly wrappingKeySpec: string
  readonly spkiDigest: Buffer
  readonly notAfterMs: number
}

export function encodeImportToken({ importId, mac }: ImportToken): Buffer {
  return new ByteWriter(64).u8(VERSION).fixed(importId, IMPORT_ID_BYTES).fixed(mac, IMPORT_MAC_BYTES).finish()
}

/** Reads a token; the MAC is not verified here. Throws {@link MalformedBytes}. */
export function decodeImportToken(token: Buffer): ImportToken {
  const reader = new ByteReader(token)
  if (reader.u8() !== VERSION) throw new MalformedBytes('not an import token')
  const parts = { importId: reader.raw(IMPORT_ID_BYTES), mac: reader.raw(IMPORT_MAC_BYTES) }
  reader.end()
  return parts
}

/** What the domain MAC key signs for a token. */
export function importMacInput(terms: ImportTerms): Buffer {
  return new ByteWriter(256)
    .ascii(LABEL)
    .u8(0)
    .fixed(terms.domainId, DOMAIN_ID_BYTES)
    .lp(terms.region, NAME_MAX_BYTES)
    .lp(terms.account, NAME_MAX_BYTES)
    .fixed(terms.kid, KID_BYTES)
    .fixed(terms.importId, IMPORT_ID_BYTES)
    .lp(terms.algorithm, NAME_MAX_BYTES)
    .lp(terms.wrappingKeySpec, NAME_MAX_BYTES)
    .fixed(terms.spkiDigest, SPKI_DIGEST_BYTES)
    .u64(terms.notAfterMs)
    .finish()
}
