/**
 * The PKCS#11 calls that seal and open messages, those of an HSM host (src/hsm/host/sealing.ts), by pkcs11js and with the
 * allocator that the system has. A host makes some of them without pkcs11js, and on jemalloc.
 *
 * | operation       | C_GenerateRandom | then                                                              |
 * |-----------------|------------------|-------------------------------------------------------------------|
 * | GenerateDataKey | 60 bytes         | C_DeriveKey, C_EncryptInit, C_Encrypt, C_DestroyObject            |
 * | Encrypt         | 28 bytes         | the same                                                          |
 * | Decrypt         |                  | C_DeriveKey, C_DecryptInit, C_Decrypt, C_DestroyObject            |
 * | ReEncrypt       | 28 bytes         | those of Decrypt, then those of Encrypt                           |
 */
import { randomBytes } from 'node:crypto'
import type pkcs11 from 'pkcs11js'
import { AAD_BYTES, IV_BYTES, NONCE_BYTES, TAG_BYTES } from '../../src/formats/ciphertext.ts'
import { CBC_NONCE_OFFSET, cbcDerivationData, DEK_BYTES, ZERO_IV } from '../../src/formats/derivation.ts'
import { dekTemplate } from '../../src/hsm/host/ciphers/in-token.ts'
import { generateHbk } from '../../src/hsm/host/hbk-kinds.ts'
import { aesCbcEncryptData, aesGcm } from '../../src/hsm/host/mechanisms.ts'
import { PLAINTEXT_BYTES, VARIANTS } from './operations.ts'
import type { BenchToken } from './tokens.ts'

const HEAD_BYTES = NONCE_BYTES + IV_BYTES

const HBK = { tokenKeyType: 'AES', right: 'DERIVE', lengthBytes: DEK_BYTES } as const
const SEAL_TEMPLATE = dekTemplate('ENCRYPT')
const OPEN_TEMPLATE = dekTemplate('DECRYPT')

/** Seals under one AES key, or several in turn, its buffers made once. */
export class RawSealing {
  readonly #token: BenchToken
  #hbks: readonly Buffer[] = []
  readonly #drawn = Buffer.alloc(HEAD_BYTES + PLAINTEXT_BYTES)
  readonly #drawnHead = this.#drawn.subarray(0, HEAD_BYTES)
  readonly #nonce = this.#drawn.subarray(0, NONCE_BYTES)
  readonly #dataKey = this.#drawn.subarray(HEAD_BYTES)
  readonly #plaintext = randomBytes(PLAINTEXT_BYTES)
  readonly #aad = randomBytes(AAD_BYTES)
  readonly #gcm = gcmOf(this.#drawn.subarray(NONCE_BYTES, HEAD_BYTES), this.#aad)
  readonly #derivationData = cbcDerivationData('data', this.#nonce)
  readonly #derivation = aesCbcEncryptData(ZERO_IV, this.#derivationData)
  readonly #output = Buffer.alloc(PLAINTEXT_BYTES + TAG_BYTES)
  readonly #opened = Buffer.alloc(PLAINTEXT_BYTES + TAG_BYTES)
  #ciphertexts: { hbk: Buffer; nonce: Buffer; iv: Buffer; gcm: pkcs11.Mechanism; sealed: Buffer }[] = []
  #turn = 0

  constructor(token: BenchToken) {
    this.#token = token
    this.useKeys(1)
  }

  /** From now on messages are sealed under so many keys in turn; those before are destroyed. */
  useKeys(keys: number): void {
    const { cryptoki, session } = this.#token
    for (const hbk of this.#hbks) cryptoki.C_DestroyObject(session, hbk)
    this.#ciphertexts = []
    this.#hbks = Array.from({ length: keys }, () =>
      generateHbk(cryptoki, session, HBK, { inToken: false, extractable: false }),
    )
    for (let count = 0; count < Math.max(keys, VARIANTS); count++) {
      const hbk = this.#hbks[count % keys]!
      this.#turn = count
      this.encrypt()
      const iv = Buffer.from(this.#drawn.subarray(NONCE_BYTES, HEAD_BYTES))
      const sealed = Buffer.from(this.#output)
      this.#ciphertexts.push({ hbk, nonce: Buffer.from(this.#nonce), iv, gcm: gcmOf(iv, this.#aad), sealed })
    }
  }

  generateDataKey(): void {
    this.#token.cryptoki.C_GenerateRandom(this.#token.session, this.#drawn)
    this.#seal(this.#dataKey, this.#output)
  }

  encrypt(): void {
    this.sealDrawn(this.#plaintext, this.#output)
  }

  decrypt(): void {
    const { cryptoki, session } = this.#token
    const ciphertext = this.#ciphertexts[this.#turn++ % this.#ciphertexts.length]!
    this.#derivationData.set(ciphertext.nonce, CBC_NONCE_OFFSET)
    const dek = cryptoki.C_DeriveKey(session, this.#derivation, ciphertext.hbk, OPEN_TEMPLATE)
    cryptoki.C_DecryptInit(session, ciphertext.gcm, dek)
    cryptoki.C_Decrypt(session, ciphertext.sealed, this.#opened)
    cryptoki.C_DestroyObject(session, dek)
  }

  reEncrypt(): void {
    this.decrypt()
    this.encrypt()
  }

  /** Seals any message; `output` has room for it and its tag. */
  sealDrawn(message: Buffer, output: Buffer): void {
    this.#token.cryptoki.C_GenerateRandom(this.#token.session, this.#drawnHead)
    this.#seal(message, output)
  }

  #seal(message: Buffer, output: Buffer): void {
    const { cryptoki, session } = this.#token
    this.#derivationData.set(this.#nonce, CBC_NONCE_OFFSET)
    const hbk = this.#hbks[this.#turn++ % this.#hbks.length]!
    const dek = cryptoki.C_DeriveKey(session, this.#derivation, hbk, SEAL_TEMPLATE)
    cryptoki.C_EncryptInit(session, this.#gcm, dek)
    cryptoki.C_Encrypt(session, message, output)
    cryptoki.C_DestroyObject(session, dek)
  }
}

/** `iv` and `aad` are read where they are, at each use. */
function gcmOf(iv: Buffer, aad: Buffer): pkcs11.Mechanism {
  return aesGcm({ iv, ivBytes: IV_BYTES, aad })
}
