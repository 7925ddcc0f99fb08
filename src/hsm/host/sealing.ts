/**
 * One message sealed or opened under an HBK: derive the DEK, run AES-256-GCM, let go of the DEK, in one bracket. This is
 * the hot path, so the buffers, templates and mechanisms it needs are made once and written over.
 */
import pkcs11 from 'pkcs11js'
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
import {
  CBC_NONCE_OFFSET,
  cbcDerivationData,
  DEK_BYTES,
  PURPOSES,
  type Purpose,
  ZERO_IV,
} from '../../formats/derivation.ts'
import { HsmFault } from '../contract/fault.ts'
import type { Hbk } from './backing-keys.ts'
import { faultOfUntrustedData } from './ckr.ts'
import {
  type Attributes,
  attributes,
  type Cryptoki,
  NO_RIGHTS,
  type ObjectHandle,
  type SessionHandle,
} from './cryptoki.ts'
import { aesCbcEncryptData, aesGcm } from './mechanisms.ts'
import type { Sessions } from './sessions.ts'

/** Every reason a ciphertext may be refused for looks the same from outside (security.md 2.2). */
const INVALID_CIPHERTEXT = 'InvalidCiphertext'

const dekTemplate = (right: 'ENCRYPT' | 'DECRYPT'): Attributes =>
  attributes({
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

export class Sealing {
  readonly #cryptoki: Cryptoki
  readonly #sessions: Sessions
  readonly #templates = { seal: dekTemplate('ENCRYPT'), open: dekTemplate('DECRYPT') }
  readonly #aad = Buffer.alloc(AAD_BYTES)
  readonly #derivations = Object.fromEntries(
    Object.keys(PURPOSES).map(purpose => {
      const data = cbcDerivationData(purpose as Purpose, Buffer.alloc(NONCE_BYTES))
      return [purpose, { data, mechanism: aesCbcEncryptData(ZERO_IV, data) }]
    }),
  ) as Record<Purpose, { data: Buffer; mechanism: pkcs11.Mechanism }>

  constructor(parts: { cryptoki: Cryptoki; sessions: Sessions }) {
    this.#cryptoki = parts.cryptoki
    this.#sessions = parts.sessions
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
    const iv = drawn.subarray(NONCE_BYTES, NONCE_BYTES + IV_BYTES)
    const { blob, sealed } = startCiphertext(hbk.suite, hbk.kid, hbk.mid, nonce, iv, plaintext.length + TAG_BYTES)
    this.sealBytes(hbk, 'data', nonce, iv, writeAad(this.#aad, blob, contextHash), plaintext, sealed)
    return blob
  }

  /** Opens a CiphertextBlob. The caller wipes the plaintext. Throws HsmFault `input`, the same for every reason. */
  open(hbk: Hbk, blob: Buffer, contextHash: Buffer): Buffer {
    const { suite, kid, mid, nonce, iv, sealed } = parse(blob)
    if (suite !== hbk.suite || !kid.equals(hbk.kid) || !mid.equals(hbk.mid))
      throw new HsmFault('input', INVALID_CIPHERTEXT)
    return this.openBytes(hbk, 'data', nonce, iv, writeAad(this.#aad, blob, contextHash), sealed)
  }

  /** AES-256-GCM under a fresh DEK of `purpose`, into `sealed`, which holds ciphertext and tag. */
  sealBytes(
    hbk: Hbk,
    purpose: Purpose,
    nonce: Buffer,
    iv: Buffer,
    aad: Buffer,
    plaintext: Buffer,
    sealed: Buffer,
  ): void {
    this.#withDek(hbk, purpose, nonce, this.#templates.seal, (session, dek) => {
      this.#cryptoki.C_EncryptInit(session, aesGcm(iv, aad), dek)
      const written = this.#cryptoki.C_Encrypt(session, plaintext, sealed)
      if (written.length !== sealed.length) throw new HsmFault('token', 'AES-GCM gave a ciphertext of another length')
    })
  }

  openBytes(hbk: Hbk, purpose: Purpose, nonce: Buffer, iv: Buffer, aad: Buffer, sealed: Buffer): Buffer {
    return this.#withDek(hbk, purpose, nonce, this.#templates.open, (session, dek) => {
      this.#cryptoki.C_DecryptInit(session, aesGcm(iv, aad), dek)
      try {
        // The room is that of the ciphertext: SoftHSM asks for it before it knows the plaintext's length.
        return this.#cryptoki.C_Decrypt(session, sealed, Buffer.allocUnsafe(sealed.length))
      } catch (error) {
        const fault = faultOfUntrustedData(error)
        throw fault.kind === 'input' ? new HsmFault('input', INVALID_CIPHERTEXT, { cause: fault }) : fault
      }
    })
  }

  #withDek<T>(
    hbk: Hbk,
    purpose: Purpose,
    nonce: Buffer,
    template: Attributes,
    use: (session: SessionHandle, dek: ObjectHandle) => T,
  ): T {
    return this.#sessions.withSession(session => {
      const { data, mechanism } = this.#derivations[purpose]
      data.set(nonce, CBC_NONCE_OFFSET)
      const dek = this.#cryptoki.C_DeriveKey(session, mechanism, hbk.handle, template)
      try {
        return use(session, dek)
      } finally {
        this.#cryptoki.C_DestroyObject(session, dek)
      }
    })
  }
}

function parse(blob: Buffer): ReturnType<typeof parseCiphertext> {
  try {
    return parseCiphertext(blob)
  } catch (error) {
    if (error instanceof MalformedBytes) throw new HsmFault('input', INVALID_CIPHERTEXT)
    throw error
  }
}
