/** The mechanisms this world uses, by the standard they implement. Numbers never leave this file's importers. */
import pkcs11 from 'pkcs11js'
import type { OaepHash } from '../contract/token-profile.ts'
import { addressOf, words } from './cryptoki.ts'

export const AES_KEY_GENERATION: pkcs11.Mechanism = { mechanism: pkcs11.CKM_AES_KEY_GEN }
export const GENERIC_SECRET_GENERATION: pkcs11.Mechanism = { mechanism: pkcs11.CKM_GENERIC_SECRET_KEY_GEN }
export const HMAC_SHA_256: pkcs11.Mechanism = { mechanism: pkcs11.CKM_SHA256_HMAC }

/**
 * Key wrap has many numbers, and one of them two meanings: 0x210A is RFC 5649 on SoftHSM, and PKCS #7 padding with RFC 3394
 * on NSS. A known answer decides, never the number. 0x8... are vendors': Luna's, CloudHSM's.
 */
export const WRAP_CANDIDATES = {
  RFC5649: [0x210b, 0x8000_0171, 0x8000_216f, 0x210a],
  RFC3394: [0x2109, 0x8000_0170, 0x8000_2109],
} as const
export const AES_CBC_ENCRYPT_DATA = 0x1105
export const AES_GCM = pkcs11.CKM_AES_GCM

export const HMAC_BY_SPEC: Readonly<Record<string, pkcs11.Mechanism>> = {
  HMAC_224: { mechanism: pkcs11.CKM_SHA224_HMAC },
  HMAC_256: { mechanism: pkcs11.CKM_SHA256_HMAC },
  HMAC_384: { mechanism: pkcs11.CKM_SHA384_HMAC },
  HMAC_512: { mechanism: pkcs11.CKM_SHA512_HMAC },
}

/** CK_AES_CBC_ENCRYPT_DATA_PARAMS {iv, pData, length}. The mechanism reads `data` anew each time it is used. */
export function aesCbcEncryptData(iv: Buffer, data: Buffer): pkcs11.Mechanism {
  const parameter = Buffer.concat([iv, words(addressOf(data), data.length)])
  return keeping({ mechanism: AES_CBC_ENCRYPT_DATA, parameter }, [data])
}

/**
 * CK_GCM_PARAMS {pIv, ulIvLen, ulIvBits, pAAD, ulAADLen, ulTagBits} with the addresses of `iv` and `aad` themselves, for
 * tokens that write the IV there; without `iv`, NULL and 0, for tokens that tell it elsewhere. Both Buffers are to be kept
 * until the operation is over.
 */
export function aesGcm({ iv, ivBytes, aad }: { iv: Buffer | undefined; ivBytes: number; aad: Buffer }) {
  const place = iv === undefined ? [0, 0] : [addressOf(iv), ivBytes]
  return { mechanism: AES_GCM, parameter: words(...place, ivBytes * 8, addressOf(aad), aad.length, 128) }
}

const GCM_AAD_OFFSET = 24

/** The same with an IV and AAD of the caller's, for one message after another: each mechanism is good until the next. */
export function reusedAesGcm(ivBytes: number): (iv: Buffer, aad: Buffer) => pkcs11.Mechanism {
  const ownIv = Buffer.alloc(ivBytes)
  let pointedAt: Buffer = Buffer.alloc(0)
  const mechanism = aesGcm({ iv: ownIv, ivBytes, aad: pointedAt })
  return (iv, aad) => {
    if (iv.length !== ivBytes) throw new RangeError(`an IV of ${iv.length} bytes`)
    ownIv.set(iv)
    if (aad !== pointedAt) {
      words(addressOf(aad), aad.length).copy(mechanism.parameter, GCM_AAD_OFFSET)
      pointedAt = aad
    }
    return mechanism
  }
}

/** SP 800-108 in counter mode with HMAC-SHA-256 and a 32-bit counter before a fixed input; L is part of the input. */
export type CounterKdf = (fixedInput: Buffer) => pkcs11.Mechanism

export const SP800_108_COUNTER_KDF = 0x3ac
const SP800_108_ITERATION_VARIABLE = 1
const SP800_108_BYTE_ARRAY = 4
const COUNTER_BITS = 32

/**
 * PKCS#11 3.0: CK_SP800_108_KDF_PARAMS {prfType, ulNumberOfDataParams, pDataParams, ulAdditionalDerivedKeys, pAdditional}
 * over CK_PRF_DATA_PARAM {type, pValue, ulValueLen}. The mechanism reads `fixedInput` anew each time it is used.
 */
export const counterKdf: CounterKdf = fixedInput => {
  const format = words(0, COUNTER_BITS)
  const data = Buffer.concat([
    words(SP800_108_ITERATION_VARIABLE, addressOf(format), format.length),
    words(SP800_108_BYTE_ARRAY, addressOf(fixedInput), fixedInput.length),
  ])
  return keeping(
    { mechanism: SP800_108_COUNTER_KDF, parameter: words(HMAC_SHA_256.mechanism, 2, addressOf(data), 0, 0) },
    [format, data, fixedInput],
  )
}

export const CLOUDHSM_SP800_108_COUNTER_KDF = 0x8000_0001
const CLOUDHSM_COUNTER = 4
const CLOUDHSM_BYTE_ARRAY = 8

/** The same on AWS CloudHSM, whose structures differ: three fields, a counter format of one word, numbers of its own. */
export const cloudHsmCounterKdf: CounterKdf = fixedInput => {
  const format = words(COUNTER_BITS)
  const data = Buffer.concat([
    words(CLOUDHSM_COUNTER, addressOf(format), format.length),
    words(CLOUDHSM_BYTE_ARRAY, addressOf(fixedInput), fixedInput.length),
  ])
  const parameter = words(HMAC_SHA_256.mechanism, 2, addressOf(data))
  return keeping({ mechanism: CLOUDHSM_SP800_108_COUNTER_KDF, parameter }, [format, data, fixedInput])
}

/** What a mechanism's parameter points to lives as long as the mechanism. */
function keeping(mechanism: pkcs11.Mechanism, buffers: readonly Buffer[]): pkcs11.Mechanism {
  pointedTo.set(mechanism, buffers)
  return mechanism
}

const pointedTo = new WeakMap<pkcs11.Mechanism, readonly Buffer[]>()

const OAEP_PARAMETERS: Readonly<Record<OaepHash, { hashAlg: number; mgf: number }>> = {
  'SHA-1': { hashAlg: pkcs11.CKM_SHA_1, mgf: pkcs11.CKG_MGF1_SHA1 },
  'SHA-256': { hashAlg: pkcs11.CKM_SHA256, mgf: pkcs11.CKG_MGF1_SHA256 },
}
const CKZ_DATA_SPECIFIED = 1

/** RSAES-OAEP with MGF1 over the same hash and an empty label (RFC 8017 section 7.1). */
export function oaepMechanism(hash: OaepHash): pkcs11.Mechanism {
  const parameters = { type: pkcs11.CK_PARAMS_RSA_OAEP, ...OAEP_PARAMETERS[hash], source: CKZ_DATA_SPECIFIED }
  return { mechanism: pkcs11.CKM_RSA_PKCS_OAEP, parameter: parameters as pkcs11.IParams }
}

/** ECDH without a key derivation function; `point` is the peer's, uncompressed. */
export function ecdhMechanism(point: Buffer): pkcs11.Mechanism {
  const parameter = { type: pkcs11.CK_PARAMS_EC_DH, kdf: pkcs11.CKD_NULL, publicData: point } as pkcs11.IParams
  return { mechanism: pkcs11.CKM_ECDH1_DERIVE, parameter }
}
