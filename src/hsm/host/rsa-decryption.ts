/**
 * RSAES-OAEP decryption (RFC 8017 section 7.1.2). The private operation is always the token's; where the token does not do
 * OAEP with a hash, it does raw RSA and the padding is taken off here.
 */
import pkcs11 from 'pkcs11js'
import { wipe } from '../../base/bytes.ts'
import type { OAEP_HASH } from '../../model/algorithms.ts'
import { OAEP_NAMES, type OaepHash } from '../contract/token-profile.ts'
import { invalidCiphertext } from './ciphers/message-cipher.ts'
import { faultOfUntrustedData } from './ckr.ts'
import type { Cryptoki, ObjectHandle, SessionHandle } from './cryptoki.ts'
import { oaepMechanism } from './mechanisms.ts'
import { decodeOaep } from './oaep.ts'

/** The hashes of RSAES-OAEP in KMS. */
export type PaddingHash = (typeof OAEP_HASH)[keyof typeof OAEP_HASH]

export class RsaDecryption {
  readonly #cryptoki: Cryptoki
  /** Hashes with which the token takes OAEP off by itself, as its self-tests have proven. */
  readonly #inToken: ReadonlySet<OaepHash>

  constructor(cryptoki: Cryptoki, inToken: readonly OaepHash[]) {
    this.#cryptoki = cryptoki
    this.#inToken = new Set(inToken)
  }

  /** The message; the caller wipes it. Throws HsmFault `input`, the same for every reason. */
  decrypt(
    session: SessionHandle,
    key: ObjectHandle,
    modulusBytes: number,
    hash: PaddingHash,
    ciphertext: Buffer,
  ): Buffer {
    if (ciphertext.length !== modulusBytes) throw invalidCiphertext()
    if (!this.#inToken.has(OAEP_NAMES[hash])) return this.#decryptRaw(session, key, modulusBytes, hash, ciphertext)
    this.#cryptoki.C_DecryptInit(session, oaepMechanism(OAEP_NAMES[hash]), key)
    return this.#finish(session, ciphertext, modulusBytes)
  }

  #decryptRaw(
    session: SessionHandle,
    key: ObjectHandle,
    modulusBytes: number,
    hash: PaddingHash,
    ciphertext: Buffer,
  ): Buffer {
    this.#cryptoki.C_DecryptInit(session, { mechanism: pkcs11.CKM_RSA_X_509 }, key)
    const opened = this.#finish(session, ciphertext, modulusBytes)
    // Some tokens drop leading zeros.
    const encoded = Buffer.alloc(modulusBytes)
    encoded.set(opened, modulusBytes - opened.length)
    const message = decodeOaep(encoded, hash)
    wipe(opened, encoded)
    if (message === undefined) throw invalidCiphertext()
    return message
  }

  #finish(session: SessionHandle, ciphertext: Buffer, modulusBytes: number): Buffer {
    try {
      return this.#cryptoki.C_Decrypt(session, ciphertext, Buffer.allocUnsafeSlow(modulusBytes))
    } catch (error) {
      const fault = faultOfUntrustedData(error)
      throw fault.kind === 'input' ? invalidCiphertext() : fault
    }
  }
}
