/**
 * The secret of an access key, sealed under the daemon's own HBK (security.md 2.7), format 1.
 *
 * ```
 * offset  bytes
 *      0      4  magic 53 52 49 01 ("SRI", format 1)
 *      4      1  suite, as in ciphertext.ts
 *      5     32  mid of the daemon's HBK
 *     37     16  N
 *     53     12  IV of AES-256-GCM
 *     65  n + 16 ciphertext and tag
 *
 * AAD = "strongroom/access-key/1" 00 + bytes 0..52 + lp(access key id) lp(principal id) lp(account)
 * ```
 *
 * The AAD keeps a sealed secret with its access key, its user and its account: moved to another row, it does not open.
 */
import { ByteReader, ByteWriter, MalformedBytes } from '../base/bytes.ts'
import { IV_BYTES, MID_BYTES, NONCE_BYTES, TAG_BYTES } from './ciphertext.ts'

const MAGIC = Buffer.from([0x53, 0x52, 0x49, 0x01])
const AAD_LABEL = Buffer.from('strongroom/access-key/1\0', 'latin1')
const HEADER_BYTES = MAGIC.length + 1 + MID_BYTES + NONCE_BYTES
export const SEALED_SECRET_MAX_BYTES = 256

/** Whose secret it is; all of it is bound. */
export interface SecretOwner {
  readonly accessKeyId: string
  readonly principalId: string
  readonly account: string
}

export interface SealedSecret {
  readonly suite: number
  readonly mid: Buffer
  readonly nonce: Buffer
  readonly iv: Buffer
  /** Ciphertext and tag. */
  readonly sealed: Buffer
}

export function encodeSealedSecret(secret: SealedSecret): Buffer {
  return writeHeader(new ByteWriter(), secret).raw(secret.iv).raw(secret.sealed).finish()
}

/** Throws {@link MalformedBytes}. */
export function decodeSealedSecret(bytes: Buffer): SealedSecret {
  const reader = new ByteReader(bytes)
  if (!reader.raw(MAGIC.length).equals(MAGIC)) throw new MalformedBytes('not a sealed secret')
  const suite = reader.u8()
  const mid = reader.raw(MID_BYTES)
  const nonce = reader.raw(NONCE_BYTES)
  const iv = reader.raw(IV_BYTES)
  const sealed = reader.raw(reader.remaining)
  if (sealed.length <= TAG_BYTES) throw new MalformedBytes('truncated')
  return { suite, mid, nonce, iv, sealed }
}

export function sealedSecretAad(secret: Omit<SealedSecret, 'iv' | 'sealed'>, owner: SecretOwner): Buffer {
  return writeHeader(new ByteWriter(AAD_LABEL.length + HEADER_BYTES + 128).raw(AAD_LABEL), secret)
    .lp(owner.accessKeyId)
    .lp(owner.principalId)
    .lp(owner.account)
    .finish()
}

function writeHeader(writer: ByteWriter, secret: Omit<SealedSecret, 'iv' | 'sealed'>): ByteWriter {
  return writer.raw(MAGIC).u8(secret.suite).raw(secret.mid).raw(secret.nonce)
}
