/**
 * THE table of key specs: what AWS allows of each (usage, algorithms), and what the HSM makes for it. Everything that depends
 * on a spec is read from here. Which specs a region serves is its tokens' to say (hsm/contract/key-mechanisms.ts).
 */

export const KEY_USAGES = [
  'SIGN_VERIFY',
  'ENCRYPT_DECRYPT',
  'GENERATE_VERIFY_MAC',
  'KEY_AGREEMENT',
  'ENCAPSULATE_DECAPSULATE',
] as const
export type KeyUsage = (typeof KEY_USAGES)[number]

/** The member of KeyMetadata that lists the algorithms of a usage. */
export const ALGORITHM_MEMBER = {
  ENCRYPT_DECRYPT: 'EncryptionAlgorithms',
  SIGN_VERIFY: 'SigningAlgorithms',
  GENERATE_VERIFY_MAC: 'MacAlgorithms',
  KEY_AGREEMENT: 'KeyAgreementAlgorithms',
  ENCAPSULATE_DECAPSULATE: 'EncapsulationAlgorithms',
} as const satisfies Record<KeyUsage, string>

/** The family that UpdateAlias compares: an alias stays within one. */
export type KeyClass = 'symmetric' | 'asymmetric' | 'hmac'

export interface KeySpecFacts {
  readonly class: KeyClass
  /** What the key can be made for, and the algorithms that this gives. */
  readonly algorithms: Readonly<Partial<Record<KeyUsage, readonly string[]>>>
  /** Whether the deprecated member CustomerMasterKeySpec knows the name. */
  readonly legacyName: boolean
  /** Bytes of a secret HBK; undefined for key pairs. */
  readonly secretBytes?: number
}

const RSA = {
  class: 'asymmetric',
  legacyName: true,
  algorithms: {
    ENCRYPT_DECRYPT: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'],
    SIGN_VERIFY: [
      'RSASSA_PKCS1_V1_5_SHA_256',
      'RSASSA_PKCS1_V1_5_SHA_384',
      'RSASSA_PKCS1_V1_5_SHA_512',
      'RSASSA_PSS_SHA_256',
      'RSASSA_PSS_SHA_384',
      'RSASSA_PSS_SHA_512',
    ],
  },
} as const satisfies KeySpecFacts

const nist = (signing: string) =>
  ({
    class: 'asymmetric',
    legacyName: true,
    algorithms: { SIGN_VERIFY: [signing], KEY_AGREEMENT: ['ECDH'] },
  }) as const satisfies KeySpecFacts

const signer = (algorithms: readonly string[], legacyName: boolean) =>
  ({
    class: 'asymmetric',
    legacyName,
    algorithms: { SIGN_VERIFY: algorithms },
  }) as const satisfies KeySpecFacts

const kem = {
  class: 'asymmetric',
  legacyName: false,
  algorithms: { ENCAPSULATE_DECAPSULATE: ['ML_KEM'] },
} as const

const hmac = (bits: 224 | 256 | 384 | 512) =>
  ({
    class: 'hmac',
    legacyName: true,
    secretBytes: bits / 8,
    algorithms: { GENERATE_VERIFY_MAC: [`HMAC_SHA_${bits}`] },
  }) as const satisfies KeySpecFacts

export const keySpecs = {
  RSA_2048: RSA,
  RSA_3072: RSA,
  RSA_4096: RSA,
  ECC_NIST_P256: nist('ECDSA_SHA_256'),
  ECC_NIST_P384: nist('ECDSA_SHA_384'),
  ECC_NIST_P521: nist('ECDSA_SHA_512'),
  ECC_SECG_P256K1: signer(['ECDSA_SHA_256'], true),
  SYMMETRIC_DEFAULT: {
    class: 'symmetric',
    legacyName: true,
    secretBytes: 32,
    algorithms: { ENCRYPT_DECRYPT: ['SYMMETRIC_DEFAULT'] },
  },
  HMAC_224: hmac(224),
  HMAC_256: hmac(256),
  HMAC_384: hmac(384),
  HMAC_512: hmac(512),
  SM2: {
    class: 'asymmetric',
    legacyName: true,
    algorithms: { ENCRYPT_DECRYPT: ['SM2PKE'], SIGN_VERIFY: ['SM2DSA'], KEY_AGREEMENT: ['ECDH'] },
  },
  ML_DSA_44: signer(['ML_DSA_SHAKE_256'], false),
  ML_DSA_65: signer(['ML_DSA_SHAKE_256'], false),
  ML_DSA_87: signer(['ML_DSA_SHAKE_256'], false),
  ML_KEM_512: kem,
  ML_KEM_768: kem,
  ML_KEM_1024: kem,
  ECC_NIST_EDWARDS25519: signer(['ED25519_SHA_512', 'ED25519_PH_SHA_512'], false),
} as const satisfies Record<string, KeySpecFacts>

export type KeySpec = keyof typeof keySpecs

type KeySpecs = [KeySpec, ...KeySpec[]]
export const KEY_SPECS = Object.keys(keySpecs) as KeySpecs
export const LEGACY_KEY_SPECS = KEY_SPECS.filter(spec => keySpecs[spec].legacyName) as KeySpecs

export function specFacts(spec: KeySpec): KeySpecFacts {
  return keySpecs[spec]
}

/** The algorithms of a spec under a usage; empty when the usage does not fit the spec. */
export function algorithmsOf(spec: KeySpec, usage: KeyUsage): readonly string[] {
  return specFacts(spec).algorithms[usage] ?? []
}

/** What GenerateDataKeyPair makes. */
export const DATA_KEY_PAIR_SPECS = [
  'RSA_2048',
  'RSA_3072',
  'RSA_4096',
  'ECC_NIST_P256',
  'ECC_NIST_P384',
  'ECC_NIST_P521',
  'ECC_SECG_P256K1',
  'SM2',
  'ECC_NIST_EDWARDS25519',
  'ML_KEM_512',
  'ML_KEM_768',
  'ML_KEM_1024',
] as const satisfies readonly KeySpec[]
export type DataKeyPairSpec = (typeof DATA_KEY_PAIR_SPECS)[number]

export const ENCRYPTION_ALGORITHMS = ['SYMMETRIC_DEFAULT', 'RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256', 'SM2PKE'] as const
export type EncryptionAlgorithm = (typeof ENCRYPTION_ALGORITHMS)[number]
