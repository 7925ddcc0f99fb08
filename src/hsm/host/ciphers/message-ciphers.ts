/** The message ciphers of a token: one for each KDF that its profile proved, by the suite's number. */
import { KDF_SUITES, type Kdf } from '../../../formats/derivation.ts'
import type { Capabilities } from '../capabilities.ts'
import { cbcDataDerivation } from './cbc-data.ts'
import { HostGcmCipher } from './host-gcm.ts'
import { type CipherParts, InTokenCipher } from './in-token.ts'
import type { MessageCipher } from './message-cipher.ts'
import { counterDerivation } from './sp800-108.ts'
import { TokenGcm } from './token-gcm.ts'

export class MessageCiphers {
  /** By suite number: an array, since each message asks it. */
  readonly #bySuite: (MessageCipher | undefined)[] = []

  constructor(parts: Omit<CipherParts, 'gcm'>, { kdfs, gcmIv }: Pick<Capabilities, 'kdfs' | 'gcmIv'>) {
    const inToken = { ...parts, gcm: new TokenGcm(parts.cryptoki, gcmIv) }
    const { cbcData, counter, hmac } = kdfs
    if (cbcData) this.#set('AES-CBC-DATA', new InTokenCipher(inToken, cbcDataDerivation()))
    if (counter !== undefined)
      this.#set('SP800-108-HMAC-SHA256', new InTokenCipher(inToken, counterDerivation(counter)))
    else if (hmac) this.#set('SP800-108-HMAC-SHA256', new HostGcmCipher(parts))
  }

  /** Undefined where this token does not derive by the suite. */
  bySuite(suite: number): MessageCipher | undefined {
    return this.#bySuite[suite]
  }

  byKdf(kdf: Kdf): MessageCipher | undefined {
    return this.#bySuite[KDF_SUITES[kdf]]
  }

  #set(kdf: Kdf, cipher: MessageCipher): void {
    this.#bySuite[KDF_SUITES[kdf]] = cipher
  }
}
