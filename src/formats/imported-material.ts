/**
 * What tells imported secrets apart, computed in the token with the imported HBK itself before it is wrapped.
 *
 * ```
 * mid of a symmetric key    HMAC-SHA-256(HBK, "strongroom/mid/1" 00 + kid(17) + lp(keySpec))           (security.md 2.2)
 * commitment of a MAC key   SHA-256(HMAC(HBK, "strongroom/commitment/1" 00 + kid(17) + lp(keySpec)))
 * ```
 *
 * A tenant knows the HBKs that it imports, so the mid of every ciphertext must fix the bytes. MAC keys have a random mid:
 * an HMAC of theirs would be a valid MAC that nobody was allowed to make. The hash of one is not, and is all that the store
 * holds to know the same bytes again. No input of a derivation begins like these labels (derivation.ts).
 */
import { createHash } from 'node:crypto'
import { ByteWriter } from '../base/bytes.ts'
import { KID_BYTES } from '../model/key-id.ts'

const MID_LABEL = 'strongroom/mid/1'
const COMMITMENT_LABEL = 'strongroom/commitment/1'
const NAME_MAX_BYTES = 64

export const IMPORT_COMMITMENT_BYTES = 32

/** What the HBK makes an HMAC-SHA-256 of for the id of its material. */
export function importedMidInput(kid: Buffer, keySpec: string): Buffer {
  return labelled(MID_LABEL, kid, keySpec)
}

/** What an imported MAC key makes an HMAC of, by the hash of its spec, for its commitment. */
export function importCommitmentInput(kid: Buffer, keySpec: string): Buffer {
  return labelled(COMMITMENT_LABEL, kid, keySpec)
}

/** The commitment, from the HMAC of {@link importCommitmentInput}. */
export function importCommitmentOf(mac: Buffer): Buffer {
  return createHash('sha256').update(mac).digest()
}

function labelled(label: string, kid: Buffer, keySpec: string): Buffer {
  return new ByteWriter(96).ascii(label).u8(0).fixed(kid, KID_BYTES).lp(keySpec, NAME_MAX_BYTES).finish()
}
