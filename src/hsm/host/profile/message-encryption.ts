/**
 * What seals messages, by known answer: AES-256-GCM with the IV that whoever makes it, then each KDF together with it. A
 * message that the token seals is opened by node:crypto, and the other way round.
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { ANY, GCM_IV_MAKERS } from '../../../base/token-schemes.ts'
import { IV_BYTES, MID_BYTES, NONCE_BYTES, TAG_BYTES } from '../../../formats/ciphertext.ts'
import { cbcDerivationData, counterFixedInput, type Kdf, type Purpose, ZERO_IV } from '../../../formats/derivation.ts'
import { KID_BYTES } from '../../../model/key-id.ts'
import { cbcDataDerivation } from '../ciphers/cbc-data.ts'
import { type Derivation, InTokenCipher } from '../ciphers/in-token.ts'
import { counterDerivation } from '../ciphers/sp800-108.ts'
import { type GcmIvMaker, TokenGcm } from '../ciphers/token-gcm.ts'
import type { ObjectHandle, SessionHandle } from '../cryptoki.ts'
import {
  AES_CBC_ENCRYPT_DATA,
  AES_GCM,
  CLOUDHSM_SP800_108_COUNTER_KDF,
  type CounterKdf,
  cloudHsmCounterKdf,
  counterKdf,
  HMAC_SHA_256,
  SP800_108_COUNTER_KDF,
} from '../mechanisms.ts'
import { type Bench, WrongAnswer } from './bench.ts'
import type { Quirks } from './quirks.ts'

export interface MessageEncryption {
  readonly gcmIv: GcmIvMaker | undefined
  readonly gcmMaxBytes: number
  readonly cbcData: boolean
  readonly counter: CounterKdf | undefined
}

const TEST_KEY = Buffer.alloc(32, 0x3c)
const TEST_MESSAGE = Buffer.from('strongroom self-test')
const TEST_AAD = Buffer.alloc(48, 0x77)
const TEST_NONCE = Buffer.alloc(NONCE_BYTES, 0x11)
const TEST_IV = Buffer.alloc(IV_BYTES, 0x22)
const KID = Buffer.alloc(KID_BYTES, 0x33)
const MID = Buffer.alloc(MID_BYTES, 0x44)
const PURPOSE: Purpose = 'data'
/** Messages of a KMS are no longer than the first of these; the others tell operators how far it goes. */
const GCM_SIZES = [4_096, 16_384, 65_536]

/** The ways to SP 800-108 in counter mode. One structure has one number. */
const COUNTER_KDFS: ReadonlyMap<number, CounterKdf> = new Map([
  [SP800_108_COUNTER_KDF, counterKdf],
  [CLOUDHSM_SP800_108_COUNTER_KDF, cloudHsmCounterKdf],
])

export function proveMessageEncryption(
  bench: Bench,
  quirks: Quirks,
  pinnedIvMaker: GcmIvMaker | typeof ANY,
): MessageEncryption {
  const makers = pinnedIvMaker === ANY ? [...new Set([quirks.gcmIv ?? 'caller', ...GCM_IV_MAKERS])] : [pinnedIvMaker]
  const gcmIv = proveGcm(bench, makers)
  if (gcmIv === undefined) return { gcmIv, gcmMaxBytes: 0, cbcData: false, counter: undefined }
  const gcm = new TokenGcm(bench.cryptoki, gcmIv)
  const gcmMaxBytes = Math.min(measureGcm(bench, gcm), quirks.gcmMaxBytes ?? Number.POSITIVE_INFINITY)
  const sessions = { withSession: <T>(use: (session: SessionHandle) => T): T => use(bench.session) }
  const proveKdf = (kdf: Kdf, number: number, keyType: number, derivation: () => Derivation) => {
    const name = `${kdf} as 0x${number.toString(16)}`
    if (!bench.offers(number, 'DERIVE')) return bench.skip(name, 'no such mechanism with the right to derive')
    return bench.try(name, () => {
      const parts = { cryptoki: bench.cryptoki, sessions, gcm }
      const key = bench.importKey(keyType, { DERIVE: true }, TEST_KEY)
      return requireAgreement(new InTokenCipher(parts, derivation()), key, deriveOutside[kdf]())
    })
  }
  const cbcData = proveKdf('AES-CBC-DATA', AES_CBC_ENCRYPT_DATA, pkcs11.CKK_AES, cbcDataDerivation) !== undefined
  const counter = [...COUNTER_KDFS].find(
    ([number, kdf]) =>
      proveKdf('SP800-108-HMAC-SHA256', number, pkcs11.CKK_GENERIC_SECRET, () => counterDerivation(kdf)) !== undefined,
  )?.[1]
  return { gcmIv, gcmMaxBytes, cbcData, counter }
}

/** The domain MAC key, and suite 2 where the token computes only its HMAC. */
export function proveHmac(bench: Bench): boolean {
  const name = 'HMAC-SHA-256'
  if (!bench.offers(HMAC_SHA_256.mechanism, 'SIGN')) {
    bench.skip(name, 'no such mechanism with the right to sign')
    return false
  }
  const proven = bench.try(name, () => {
    const key = bench.importKey(pkcs11.CKK_GENERIC_SECRET, { SIGN: true, VERIFY: true }, TEST_KEY)
    bench.cryptoki.C_SignInit(bench.session, HMAC_SHA_256, key)
    const mac = bench.cryptoki.C_Sign(bench.session, TEST_MESSAGE, Buffer.alloc(64))
    if (!mac.equals(createHmac('sha256', TEST_KEY).update(TEST_MESSAGE).digest())) throw new WrongAnswer('other bytes')
    bench.cryptoki.C_VerifyInit(bench.session, HMAC_SHA_256, key)
    bench.cryptoki.C_Verify(bench.session, TEST_MESSAGE, mac)
    return true
  })
  return proven !== undefined
}

function proveGcm(bench: Bench, makers: readonly GcmIvMaker[]): GcmIvMaker | undefined {
  if (!bench.offers(AES_GCM, 'ENCRYPT')) return bench.skip('AES-256-GCM', 'no such mechanism with the right to encrypt')
  return makers.find(maker =>
    bench.try(`AES-256-GCM, IV ${maker}`, () => {
      const gcm = new TokenGcm(bench.cryptoki, maker)
      const key = bench.importKey(pkcs11.CKK_AES, { ENCRYPT: true, DECRYPT: true }, TEST_KEY)
      return requireAgreement(
        {
          seal: (_key, _purpose, _nonce, iv, aad, plaintext, sealed) =>
            gcm.encrypt(bench.session, key, iv, aad, plaintext, sealed),
          open: (_key, _purpose, _nonce, iv, aad, sealed) => gcm.decrypt(bench.session, key, iv, aad, sealed),
        },
        key,
        TEST_KEY,
      )
    }),
  )
}

function measureGcm(bench: Bench, gcm: TokenGcm): number {
  const key = bench.importKey(pkcs11.CKK_AES, { ENCRYPT: true, DECRYPT: true }, TEST_KEY)
  let longest = 0
  for (const size of GCM_SIZES) {
    const sealed = Buffer.alloc(size + TAG_BYTES)
    const done = bench.try(`AES-256-GCM of ${size} bytes`, () => {
      gcm.encrypt(bench.session, key, Buffer.from(TEST_IV), TEST_AAD, Buffer.alloc(size), sealed)
      return true
    })
    if (done === undefined) break
    longest = size
  }
  return longest
}

/** Both ways: what the token seals opens outside, what is sealed outside opens in the token, and a changed tag does not. */
function requireAgreement(cipher: Pick<InTokenCipher, 'seal' | 'open'>, handle: ObjectHandle, dek: Buffer): true {
  const hbk = { handle, kid: KID, mid: MID }
  const iv = Buffer.from(TEST_IV)
  const sealed = Buffer.alloc(TEST_MESSAGE.length + TAG_BYTES)
  cipher.seal(hbk, PURPOSE, TEST_NONCE, iv, TEST_AAD, TEST_MESSAGE, sealed)
  if (!openOutside(dek, iv, sealed)?.equals(TEST_MESSAGE))
    throw new WrongAnswer('what it seals does not open elsewhere')
  const outside = sealOutside(dek)
  if (!cipher.open(hbk, PURPOSE, TEST_NONCE, TEST_IV, TEST_AAD, outside).equals(TEST_MESSAGE)) {
    throw new WrongAnswer('opens to other bytes')
  }
  outside[outside.length - 1] = (outside.at(-1) ?? 0) ^ 1
  requireRefusal(() => cipher.open(hbk, PURPOSE, TEST_NONCE, TEST_IV, TEST_AAD, outside))
  return true
}

function requireRefusal(open: () => unknown): void {
  try {
    open()
  } catch {
    return
  }
  throw new WrongAnswer('opens a message with a changed tag')
}

function sealOutside(dek: Buffer): Buffer {
  const cipher = createCipheriv('aes-256-gcm', dek, TEST_IV).setAAD(TEST_AAD)
  return Buffer.concat([cipher.update(TEST_MESSAGE), cipher.final(), cipher.getAuthTag()])
}

function openOutside(dek: Buffer, iv: Buffer, sealed: Buffer): Buffer | undefined {
  const decipher = createDecipheriv('aes-256-gcm', dek, iv).setAAD(TEST_AAD).setAuthTag(sealed.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()])
  } catch {
    return undefined
  }
}

/** The DEK of the test message, as security.md 2.3 has it. */
const deriveOutside: Record<Kdf, () => Buffer> = {
  'AES-CBC-DATA': () =>
    createCipheriv('aes-256-cbc', TEST_KEY, ZERO_IV)
      .setAutoPadding(false)
      .update(cbcDerivationData(PURPOSE, TEST_NONCE)),
  'SP800-108-HMAC-SHA256': () =>
    createHmac('sha256', TEST_KEY)
      .update(Buffer.of(0, 0, 0, 1))
      .update(counterFixedInput(PURPOSE, TEST_NONCE, KID, MID))
      .digest(),
}
