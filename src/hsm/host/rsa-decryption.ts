/**
 * RSAES-OAEP decryption (RFC 8017 section 7.1.2). The private operation is always the token's; where the token does not do
 * OAEP with a hash, it does raw RSA and the padding is taken off here.
 */
import pkcs11 from 'pkcs11js'
import { wipe } from '../../base/bytes.ts'
import type { Hash } from '../../model/algorithms.ts'
import { invalidCiphertext } from './ciphers/message-cipher.ts'
import { ckrCode, faultOfUntrustedData } from './ckr.ts'
import type { Cryptoki, ObjectHandle, SessionHandle } from './cryptoki.ts'
import { oaepMechanism } from './mechanisms.ts'
import { decodeOaep } from './oaep.ts'

/** What a token says of a mechanism or a parameter that it does not know. */
const UNKNOWN_MECHANISM: ReadonlySet<number> = new Set([0x07, 0x70, 0x71])

export class RsaDecryption {
  readonly #cryptoki: Cryptoki
  /** Hashes that the token has turned down for OAEP, as a mechanism and never for what a ciphertext held. */
  readonly #outside = new Set<Hash>()

  constructor(cryptoki: Cryptoki) {
    this.#cryptoki = cryptoki
  }

  /** The message; the caller wipes it. Throws HsmFault `input`, the same for every reason. */
  decrypt(session: SessionHandle, key: ObjectHandle, modulusBytes: number, hash: Hash, ciphertext: Buffer): Buffer {
    if (ciphertext.length !== modulusBytes) throw invalidCiphertext()
    if (!this.#outside.has(hash)) {
      if (this.#startsInToken(session, key, hash)) return this.#finish(session, ciphertext, modulusBytes)
      this.#outside.add(hash)
    }
    return this.#decryptRaw(session, key, modulusBytes, hash, ciphertext)
  }

  #startsInToken(session: SessionHandle, key: ObjectHandle, hash: Hash): boolean {
    try {
      this.#cryptoki.C_DecryptInit(session, oaepMechanism(hash), key)
      return true
    } catch (error) {
      if (UNKNOWN_MECHANISM.has(ckrCode(error) ?? 0)) return false
      throw error
    }
  }

  #decryptRaw(session: SessionHandle, key: ObjectHandle, modulusBytes: number, hash: Hash, ciphertext: Buffer): Buffer {
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
