/**
 * AES-256-GCM in the token, under a DEK that stays there. Some tokens do not let a caller choose the IV they encrypt
 * with: they tell which one they took, each in its own place. All of them open with an IV that is given.
 */
import type pkcs11 from 'pkcs11js'
import { IV_BYTES } from '../../../formats/ciphertext.ts'
import { HsmFault } from '../../contract/fault.ts'
import type { TokenProfile } from '../../contract/token-profile.ts'
import { faultOfUntrustedData } from '../ckr.ts'
import type { Cryptoki, ObjectHandle, SessionHandle } from '../cryptoki.ts'
import { aesGcm, reusedAesGcm } from '../mechanisms.ts'
import { invalidCiphertext } from './message-cipher.ts'

/**
 * | IV               | who chooses it, and where it is told                                          |
 * |------------------|-------------------------------------------------------------------------------|
 * | `caller`         | the caller                                                                    |
 * | `hsm-in-param`   | the token; it writes it where the parameter points to zeros (AWS CloudHSM)    |
 * | `hsm-suffix`     | the token; it appends it to ciphertext and tag (Thales Luna in FIPS mode)     |
 */
export type GcmIvMaker = TokenProfile['gcmIv']

/** Encrypts into `sealed`, ciphertext and tag; leaves the IV that was used in `iv`. */
type Encrypt = (
  session: SessionHandle,
  dek: ObjectHandle,
  iv: Buffer,
  aad: Buffer,
  plaintext: Buffer,
  sealed: Buffer,
) => void

export class TokenGcm {
  /** Throws HsmFault `token` when the token's answer is not what AES-GCM gives. */
  readonly encrypt: Encrypt
  readonly #cryptoki: Cryptoki
  readonly #mechanism = reusedAesGcm(IV_BYTES)

  constructor(cryptoki: Cryptoki, ivMaker: GcmIvMaker) {
    this.#cryptoki = cryptoki
    this.encrypt = encryptions[ivMaker](cryptoki)
  }

  /** The plaintext. Throws HsmFault `input` when the tag does not fit. */
  decrypt(session: SessionHandle, dek: ObjectHandle, iv: Buffer, aad: Buffer, sealed: Buffer): Buffer {
    this.#cryptoki.C_DecryptInit(session, this.#mechanism(iv, aad), dek)
    try {
      // The room is that of the ciphertext: SoftHSM asks for it before it knows the plaintext's length.
      return this.#cryptoki.C_Decrypt(session, sealed, Buffer.allocUnsafe(sealed.length))
    } catch (error) {
      const fault = faultOfUntrustedData(error)
      throw fault.kind === 'input' ? invalidCiphertext(fault) : fault
    }
  }
}

const encryptions: Record<GcmIvMaker, (cryptoki: Cryptoki) => Encrypt> = {
  caller: cryptoki => {
    const mechanism = reusedAesGcm(IV_BYTES)
    return (session, dek, iv, aad, plaintext, sealed) =>
      run(cryptoki, session, mechanism(iv, aad), dek, plaintext, sealed)
  },
  'hsm-in-param': cryptoki => (session, dek, iv, aad, plaintext, sealed) => {
    iv.fill(0)
    run(cryptoki, session, aesGcm({ iv, ivBytes: IV_BYTES, aad }), dek, plaintext, sealed)
    // An IV of zeros would be an IV that nobody made.
    if (iv.every(byte => byte === 0)) throw new HsmFault('token', 'AES-GCM left no IV in its parameter')
  },
  'hsm-suffix': cryptoki => (session, dek, iv, aad, plaintext, sealed) => {
    const answer = Buffer.allocUnsafe(sealed.length + IV_BYTES)
    run(cryptoki, session, aesGcm({ iv: undefined, ivBytes: IV_BYTES, aad }), dek, plaintext, answer)
    answer.copy(sealed, 0, 0, sealed.length)
    answer.copy(iv, 0, sealed.length)
  },
}

function run(
  cryptoki: Cryptoki,
  session: SessionHandle,
  mechanism: pkcs11.Mechanism,
  dek: ObjectHandle,
  plaintext: Buffer,
  output: Buffer,
): void {
  cryptoki.C_EncryptInit(session, mechanism, dek)
  const written = cryptoki.C_Encrypt(session, plaintext, output)
  if (written.length !== output.length) throw new HsmFault('token', 'AES-GCM gave a ciphertext of another length')
}
