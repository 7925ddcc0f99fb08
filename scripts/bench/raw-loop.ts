/**
 * Child process: the PKCS#11 calls of one operation, as an HSM host makes them (src/hsm/host/sealing.ts), and nothing
 * else. What these calls cost is the limit of what any service in front of such a token can reach.
 *
 * | operation       | C_GenerateRandom | then                                                              |
 * |-----------------|------------------|-------------------------------------------------------------------|
 * | GenerateDataKey | 60 bytes         | C_DeriveKey, C_EncryptInit, C_Encrypt, C_DestroyObject            |
 * | Encrypt         | 28 bytes         | the same                                                          |
 * | Decrypt         |                  | C_DeriveKey, C_DecryptInit, C_Decrypt, C_DestroyObject            |
 */
import { randomBytes } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { AAD_BYTES, IV_BYTES, NONCE_BYTES, TAG_BYTES } from '../../src/formats/ciphertext.ts'
import { CBC_NONCE_OFFSET, cbcDerivationData, DEK_BYTES, ZERO_IV } from '../../src/formats/derivation.ts'
import { attributes, NO_RIGHTS } from '../../src/hsm/host/cryptoki.ts'
import { AES_KEY_GENERATION, aesCbcEncryptData, aesGcm } from '../../src/hsm/host/mechanisms.ts'
import { answer } from './child.ts'
import { type Operation, PLAINTEXT_BYTES, VARIANTS } from './operations.ts'
import { createToken, removeOwnToken } from './tokens.ts'

/** Between two looks at the clock. */
const BATCH = 32

const { cryptoki, session } = createToken('bench raw')
const aesKey = {
  CLASS: pkcs11.CKO_SECRET_KEY,
  KEY_TYPE: pkcs11.CKK_AES,
  VALUE_LEN: DEK_BYTES,
  TOKEN: false,
  PRIVATE: true,
  SENSITIVE: true,
  EXTRACTABLE: false,
  ...NO_RIGHTS,
}
const hbk = cryptoki.C_GenerateKey(session, AES_KEY_GENERATION, attributes({ ...aesKey, DERIVE: true }))
const sealTemplate = attributes({ ...aesKey, ENCRYPT: true })
const openTemplate = attributes({ ...aesKey, DECRYPT: true })

const HEAD_BYTES = NONCE_BYTES + IV_BYTES
const drawn = Buffer.alloc(HEAD_BYTES + PLAINTEXT_BYTES)
const drawnHead = drawn.subarray(0, HEAD_BYTES)
const nonce = drawn.subarray(0, NONCE_BYTES)
const dataKey = drawn.subarray(HEAD_BYTES)
const plaintext = randomBytes(PLAINTEXT_BYTES)
const aad = randomBytes(AAD_BYTES)
const gcm = aesGcm(drawn.subarray(NONCE_BYTES, HEAD_BYTES), aad)
const derivationData = cbcDerivationData('data', nonce)
const derivation = aesCbcEncryptData(ZERO_IV, derivationData)
const output = Buffer.alloc(PLAINTEXT_BYTES + TAG_BYTES)

function seal(message: Buffer): void {
  derivationData.set(nonce, CBC_NONCE_OFFSET)
  const dek = cryptoki.C_DeriveKey(session, derivation, hbk, sealTemplate)
  cryptoki.C_EncryptInit(session, gcm, dek)
  cryptoki.C_Encrypt(session, message, output)
  cryptoki.C_DestroyObject(session, dek)
}

const ciphertexts = Array.from({ length: VARIANTS }, () => {
  cryptoki.C_GenerateRandom(session, drawnHead)
  seal(plaintext)
  const iv = Buffer.from(drawn.subarray(NONCE_BYTES, HEAD_BYTES))
  return { nonce: Buffer.from(nonce), gcm: aesGcm(iv, aad), sealed: Buffer.from(output) }
})
let turn = 0

const once: Record<Operation, () => void> = {
  GenerateDataKey() {
    cryptoki.C_GenerateRandom(session, drawn)
    seal(dataKey)
  },
  Encrypt() {
    cryptoki.C_GenerateRandom(session, drawnHead)
    seal(plaintext)
  },
  Decrypt() {
    const ciphertext = ciphertexts[turn++ % VARIANTS]!
    derivationData.set(ciphertext.nonce, CBC_NONCE_OFFSET)
    const dek = cryptoki.C_DeriveKey(session, derivation, hbk, openTemplate)
    cryptoki.C_DecryptInit(session, ciphertext.gcm, dek)
    cryptoki.C_Decrypt(session, ciphertext.sealed, output)
    cryptoki.C_DestroyObject(session, dek)
  },
}

const answers = {
  /** Repeats one operation for a time, without a pause. */
  run({ operation, seconds }: { operation: Operation; seconds: number }): { operations: number; seconds: number } {
    const step = once[operation]
    const startedAt = performance.now()
    const endsAt = startedAt + seconds * 1_000
    let operations = 0
    while (performance.now() < endsAt) {
      for (let count = 0; count < BATCH; count++) step()
      operations += BATCH
    }
    return { operations, seconds: (performance.now() - startedAt) / 1_000 }
  },
}
export type RawLoop = typeof answers

answer(answers, removeOwnToken)
