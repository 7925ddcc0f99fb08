/**
 * Suite 2 for tokens that neither derive keys nor run AES-GCM (YubiHSM 2): the token computes SP 800-108 as the one HMAC
 * block that it is, by C_Sign with the HBK, and AES-256-GCM runs in this host. The bytes are those of a token with the
 * mechanisms. The HBK stays in the token; one message's DEK is in this process for as long as the message takes, and is
 * then overwritten. Node's own copy of it goes with the cipher object.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'
import { wipe } from '../../../base/bytes.ts'
import { MID_BYTES, NONCE_BYTES, TAG_BYTES } from '../../../formats/ciphertext.ts'
import {
  counterFixedInput,
  counterOffsets,
  DEK_BYTES,
  forEachPurpose,
  type Purpose,
} from '../../../formats/derivation.ts'
import { KID_BYTES } from '../../../model/key-id.ts'
import { HsmFault } from '../../contract/fault.ts'
import type { Cryptoki } from '../cryptoki.ts'
import { HMAC_SHA_256 } from '../mechanisms.ts'
import type { Sessions } from '../sessions.ts'
import { type BaseKey, invalidCiphertext, type MessageCipher } from './message-cipher.ts'

const AES_256_GCM = 'aes-256-gcm'
/** The counter before the fixed input: 32 bits, and the first block is the only one. */
const FIRST_BLOCK = Buffer.from([0, 0, 0, 1])

export class HostGcmCipher implements MessageCipher {
  readonly hbkRight = 'SIGN'
  readonly #cryptoki: Cryptoki
  readonly #sessions: Pick<Sessions, 'withSession'>
  /** One input for each purpose, whose nonce, kid and mid each message replaces. */
  readonly #inputs = forEachPurpose(purpose => {
    const [nonce, kid, mid] = [NONCE_BYTES, KID_BYTES, MID_BYTES].map(length => Buffer.alloc(length)) as [
      Buffer,
      Buffer,
      Buffer,
    ]
    const offsets = counterOffsets(purpose)
    return { bytes: Buffer.concat([FIRST_BLOCK, counterFixedInput(purpose, nonce, kid, mid)]), offsets }
  })

  constructor(parts: { readonly cryptoki: Cryptoki; readonly sessions: Pick<Sessions, 'withSession'> }) {
    this.#cryptoki = parts.cryptoki
    this.#sessions = parts.sessions
  }

  seal(
    hbk: BaseKey,
    purpose: Purpose,
    nonce: Buffer,
    iv: Buffer,
    aad: Buffer,
    plaintext: Buffer,
    sealed: Buffer,
  ): void {
    this.#withDek(hbk, purpose, nonce, dek => {
      const cipher = createCipheriv(AES_256_GCM, dek, iv, { authTagLength: TAG_BYTES }).setAAD(aad)
      sealed.set(cipher.update(plaintext), 0)
      cipher.final()
      sealed.set(cipher.getAuthTag(), plaintext.length)
    })
  }

  open(hbk: BaseKey, purpose: Purpose, nonce: Buffer, iv: Buffer, aad: Buffer, sealed: Buffer): Buffer {
    return this.#withDek(hbk, purpose, nonce, dek => {
      const end = sealed.length - TAG_BYTES
      const decipher = createDecipheriv(AES_256_GCM, dek, iv, { authTagLength: TAG_BYTES }).setAAD(aad)
      decipher.setAuthTag(sealed.subarray(end))
      const plaintext = decipher.update(sealed.subarray(0, end))
      try {
        decipher.final()
        return plaintext
      } catch {
        // What did not verify is nobody's plaintext, and is shown to nobody.
        wipe(plaintext)
        throw invalidCiphertext()
      }
    })
  }

  #withDek<T>(hbk: BaseKey, purpose: Purpose, nonce: Buffer, use: (dek: Buffer) => T): T {
    const dek = this.#derive(hbk, purpose, nonce)
    try {
      return use(dek)
    } finally {
      wipe(dek)
    }
  }

  /** NIST SP 800-108r1 4.1, counter mode, one block: HMAC-SHA-256(HBK, 00000001 + fixed input). */
  #derive({ handle, kid, mid }: BaseKey, purpose: Purpose, nonce: Buffer): Buffer {
    const { bytes, offsets } = this.#inputs[purpose]
    bytes.set(nonce, FIRST_BLOCK.length + offsets.nonce)
    bytes.set(kid, FIRST_BLOCK.length + offsets.kid)
    bytes.set(mid, FIRST_BLOCK.length + offsets.mid)
    const dek = this.#sessions.withSession(session => {
      this.#cryptoki.C_SignInit(session, HMAC_SHA_256, handle)
      return this.#cryptoki.C_Sign(session, bytes, Buffer.alloc(DEK_BYTES))
    })
    if (dek.length !== DEK_BYTES) throw new HsmFault('token', 'HMAC-SHA-256 gave a value of another length')
    return dek
  }
}
