/**
 * A resident HBK: a token object of its own, never wrapped, for tokens that cannot wrap keys, or not keys of its kind
 * (security.md 2.4, kind 1). Its EKT record holds no key bytes: it names the object, the tokens that hold it, and a commitment to the HBK.
 *
 * ```
 * CKA_ID      kid(17) + 15 random bytes                                                               32 bytes
 * commitment  SHA-256(F(HBK, "strongroom/resident/1" 00 + kid + mid))                                  32 bytes
 * F           HMAC-SHA-256, or for HMAC keys the HMAC of their spec; for Ed25519 keys their signature (RFC 8032)
 * ```
 *
 * The id begins with the key's, so that an object tells an operator whose it is. The commitment ties the record to the
 * HBK itself, since PKCS#11 lets two objects have one CKA_ID. It is a hash: what is stored is no MAC or signature of a key,
 * which nobody was allowed to make. No input of a derivation begins like its label (derivation.ts).
 */
import { createHash } from 'node:crypto'
import { ByteWriter, MalformedBytes } from '../base/bytes.ts'
import { KID_BYTES } from '../model/key-id.ts'
import { MID_BYTES } from './ciphertext.ts'
import { decodeEkt } from './ekt.ts'

export const CKA_ID_BYTES = 32
const RANDOM_BYTES = CKA_ID_BYTES - KID_BYTES
const LABEL = 'strongroom/resident/1'

/** CKA_ID of the object. `random` is 15 bytes. */
export function residentCkaId(kid: Buffer, random: Buffer): Buffer {
  return new ByteWriter(CKA_ID_BYTES).fixed(kid, KID_BYTES).fixed(random, RANDOM_BYTES).finish()
}

/** Whether an object of this CKA_ID is of the key. */
export function isResidentCkaIdOf(ckaId: Buffer, kid: Buffer): boolean {
  return ckaId.length === CKA_ID_BYTES && ckaId.subarray(0, KID_BYTES).equals(kid)
}

/** What the HBK makes an HMAC or a signature of for its commitment. */
export function commitmentInput(kid: Buffer, mid: Buffer): Buffer {
  return new ByteWriter(96).ascii(LABEL).u8(0).fixed(kid, KID_BYTES).fixed(mid, MID_BYTES).finish()
}

/** The commitment, from the HMAC or signature of {@link commitmentInput}. */
export function commitmentOf(proof: Buffer): Buffer {
  return createHash('sha256').update(proof).digest()
}

/** Where the record says its HBK resides; undefined for a wrapped HBK, which every token of the domain can use. */
export interface Residence {
  readonly ckaId: Buffer
  /** Serials of the tokens that hold the object. */
  readonly serials: readonly string[]
}

/**
 * Reads where an HBK resides from a record that nobody has verified yet, which is enough to choose a token: the token
 * verifies. An unreadable record resides nowhere; a host refuses it.
 */
export function residenceOf(record: Buffer): Residence | undefined {
  try {
    const { body } = decodeEkt(record).fields
    return body.kind === 'resident' ? { ckaId: body.ckaId, serials: body.serials } : undefined
  } catch (error) {
    if (error instanceof MalformedBytes) return undefined
    throw error
  }
}
