/**
 * Derive the DEK as a session object, run AES-256-GCM with it, let go of it, in one bracket: the plaintext of no key
 * leaves the token. This is the hot path, so templates and mechanisms are made once and written over.
 */
import pkcs11 from 'pkcs11js'
import { DEK_BYTES, type Purpose } from '../../../formats/derivation.ts'
import {
  type Attributes,
  attributes,
  type Cryptoki,
  NO_RIGHTS,
  type ObjectHandle,
  type SessionHandle,
} from '../cryptoki.ts'
import { layOut } from '../direct-cryptoki.ts'
import type { Sessions } from '../sessions.ts'
import type { BaseKey, MessageCipher } from './message-cipher.ts'
import type { TokenGcm } from './token-gcm.ts'

export interface CipherParts {
  readonly cryptoki: Cryptoki
  readonly sessions: Pick<Sessions, 'withSession'>
  readonly gcm: TokenGcm
}

/** The mechanism that derives the DEK of one message. It is good until the next call. */
export type Derivation = (hbk: BaseKey, purpose: Purpose, nonce: Buffer) => pkcs11.Mechanism

export class InTokenCipher implements MessageCipher {
  readonly hbkRight = 'DERIVE'
  readonly #cryptoki: Cryptoki
  readonly #sessions: CipherParts['sessions']
  readonly #gcm: TokenGcm
  readonly #derivation: Derivation
  readonly #templates = { seal: dekTemplate('ENCRYPT'), open: dekTemplate('DECRYPT') }

  constructor({ cryptoki, sessions, gcm }: CipherParts, derivation: Derivation) {
    this.#cryptoki = cryptoki
    this.#sessions = sessions
    this.#gcm = gcm
    this.#derivation = derivation
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
    this.#withDek(hbk, purpose, nonce, this.#templates.seal, (session, dek) =>
      this.#gcm.encrypt(session, dek, iv, aad, plaintext, sealed),
    )
  }

  open(hbk: BaseKey, purpose: Purpose, nonce: Buffer, iv: Buffer, aad: Buffer, sealed: Buffer): Buffer {
    return this.#withDek(hbk, purpose, nonce, this.#templates.open, (session, dek) =>
      this.#gcm.decrypt(session, dek, iv, aad, sealed),
    )
  }

  #withDek<T>(
    hbk: BaseKey,
    purpose: Purpose,
    nonce: Buffer,
    template: Attributes,
    use: (session: SessionHandle, dek: ObjectHandle) => T,
  ): T {
    return this.#sessions.withSession(session => {
      const dek = this.#cryptoki.C_DeriveKey(session, this.#derivation(hbk, purpose, nonce), hbk.handle, template)
      try {
        return use(session, dek)
      } finally {
        this.#cryptoki.C_DestroyObject(session, dek)
      }
    })
  }
}

/** What a DEK is in the token: not readable, and good for one thing. */
export function dekTemplate(right: 'ENCRYPT' | 'DECRYPT'): Attributes {
  const template = attributes({
    CLASS: pkcs11.CKO_SECRET_KEY,
    KEY_TYPE: pkcs11.CKK_AES,
    VALUE_LEN: DEK_BYTES,
    TOKEN: false,
    PRIVATE: true,
    SENSITIVE: true,
    EXTRACTABLE: false,
    ...NO_RIGHTS,
    [right]: true,
  })
  return layOut(template)
}
