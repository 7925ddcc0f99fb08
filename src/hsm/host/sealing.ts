/**
 * Messages sealed and opened under an HBK. How, follows from the suite that the HBK's verified EKT names: each has a
 * message cipher, chosen for this token at the host's start.
 */
import { MalformedBytes } from '../../base/bytes.ts'
import {
  AAD_BYTES,
  IV_BYTES,
  NONCE_BYTES,
  parseCiphertext,
  startCiphertext,
  TAG_BYTES,
  writeAad,
} from '../../formats/ciphertext.ts'
import type { Purpose } from '../../formats/derivation.ts'
import { HsmFault } from '../contract/fault.ts'
import { invalidCiphertext, type MessageCipher } from './ciphers/message-cipher.ts'
import type { MessageCiphers } from './ciphers/message-ciphers.ts'
import type { Cryptoki } from './cryptoki.ts'
import type { Hbk } from './hbk.ts'
import type { Sessions } from './sessions.ts'

export class Sealing {
  readonly #cryptoki: Cryptoki
  readonly #sessions: Sessions
  readonly #ciphers: MessageCiphers
  readonly #aad = Buffer.alloc(AAD_BYTES)

  constructor(parts: { cryptoki: Cryptoki; sessions: Sessions; ciphers: MessageCiphers }) {
    this.#cryptoki = parts.cryptoki
    this.#sessions = parts.sessions
    this.#ciphers = parts.ciphers
  }

  /** `lengthBytes` from the token's random generator. The caller wipes them. */
  random(lengthBytes: number): Buffer {
    return this.#sessions.withSession(session =>
      this.#cryptoki.C_GenerateRandom(session, Buffer.allocUnsafe(lengthBytes)),
    )
  }

  /** Seals a plaintext as a CiphertextBlob. `drawn` is a nonce and an IV, fresh from {@link random}. */
  seal(hbk: Hbk, plaintext: Buffer, contextHash: Buffer, drawn: Buffer): Buffer {
    const nonce = drawn.subarray(0, NONCE_BYTES)
    const drawnIv = drawn.subarray(NONCE_BYTES, NONCE_BYTES + IV_BYTES)
    const sealedBytes = plaintext.length + TAG_BYTES
    const { blob, iv, sealed } = startCiphertext(hbk.suite, hbk.kid, hbk.mid, nonce, drawnIv, sealedBytes)
    this.sealBytes(hbk, 'data', nonce, iv, writeAad(this.#aad, blob, contextHash), plaintext, sealed)
    return blob
  }

  /** Opens a CiphertextBlob. The caller wipes the plaintext. Throws HsmFault `input`, the same for every reason. */
  open(hbk: Hbk, blob: Buffer, contextHash: Buffer): Buffer {
    const { suite, kid, mid, nonce, iv, sealed } = parse(blob)
    if (suite !== hbk.suite || !kid.equals(hbk.kid) || !mid.equals(hbk.mid)) throw invalidCiphertext()
    return this.openBytes(hbk, 'data', nonce, iv, writeAad(this.#aad, blob, contextHash), sealed)
  }

  /**
   * AES-256-GCM under a fresh DEK of `purpose`, into `sealed`, which holds ciphertext and tag. Where the token makes the
   * IV itself, it is written over what `iv` held.
   */
  sealBytes(
    hbk: Hbk,
    purpose: Purpose,
    nonce: Buffer,
    iv: Buffer,
    aad: Buffer,
    plaintext: Buffer,
    sealed: Buffer,
  ): void {
    this.#cipherOf(hbk).seal(hbk, purpose, nonce, iv, aad, plaintext, sealed)
  }

  openBytes(hbk: Hbk, purpose: Purpose, nonce: Buffer, iv: Buffer, aad: Buffer, sealed: Buffer): Buffer {
    return this.#cipherOf(hbk).open(hbk, purpose, nonce, iv, aad, sealed)
  }

  #cipherOf({ suite }: Hbk): MessageCipher {
    const cipher = this.#ciphers.bySuite(suite)
    if (cipher === undefined) throw new HsmFault('key', `this token derives nothing by suite ${suite}`)
    return cipher
  }
}

function parse(blob: Buffer): ReturnType<typeof parseCiphertext> {
  try {
    return parseCiphertext(blob)
  } catch (error) {
    if (error instanceof MalformedBytes) throw invalidCiphertext()
    throw error
  }
}
