/** What key material is imported under: wrapping keys and algorithms, and which of them fit which key spec. */
import type { OAEP_HASH } from './algorithms.ts'
import { type KeySpec, specFacts } from './key-specs.ts'

export const WRAPPING_KEY_SPECS = ['RSA_2048', 'RSA_3072', 'RSA_4096', 'SM2'] as const
export type WrappingKeySpec = (typeof WRAPPING_KEY_SPECS)[number]

/** Every name of AWS's model, those included that are refused here. */
export const WRAPPING_ALGORITHMS = [
  'RSAES_PKCS1_V1_5',
  'RSAES_OAEP_SHA_1',
  'RSAES_OAEP_SHA_256',
  'RSA_AES_KEY_WRAP_SHA_1',
  'RSA_AES_KEY_WRAP_SHA_256',
  'SM2PKE',
] as const
export type WrappingAlgorithm = (typeof WRAPPING_ALGORITHMS)[number]

export interface WrappingFacts {
  /** Of OAEP: label hash and MGF1. */
  readonly hash: (typeof OAEP_HASH)[keyof typeof OAEP_HASH]
  /**
   * OAEP carries an AES-256 key of one use, and that wraps the material by RFC 5649: PKCS#11's CKM_RSA_AES_KEY_WRAP. Without
   * it OAEP carries the material itself.
   */
  readonly twoSteps: boolean
}

const wrapping: Readonly<Partial<Record<WrappingAlgorithm, WrappingFacts>>> = {
  RSAES_OAEP_SHA_1: { hash: 'sha1', twoSteps: false },
  RSAES_OAEP_SHA_256: { hash: 'sha256', twoSteps: false },
  RSA_AES_KEY_WRAP_SHA_1: { hash: 'sha1', twoSteps: true },
  RSA_AES_KEY_WRAP_SHA_256: { hash: 'sha256', twoSteps: true },
}

/** Undefined for algorithms by which nothing is imported here. */
export function wrappingFacts(algorithm: string): WrappingFacts | undefined {
  return Object.hasOwn(wrapping, algorithm) ? wrapping[algorithm as WrappingAlgorithm] : undefined
}

/** Why material of a spec is not imported by this algorithm under such a key; undefined when it is (kms-api.md 10). */
export function wrappingMisfit(
  spec: KeySpec,
  algorithm: WrappingAlgorithm,
  wrappingKeySpec: WrappingKeySpec,
): string | undefined {
  const facts = wrappingFacts(algorithm)
  if (facts === undefined || wrappingKeySpec === 'SM2') {
    return `WrappingAlgorithm ${algorithm} under WrappingKeySpec ${wrappingKeySpec} is not supported.`
  }
  const { class: kind } = specFacts(spec)
  if (facts.twoSteps && kind !== 'asymmetric') return `${algorithm} is for private keys; KeySpec ${spec} is a secret.`
  if (!facts.twoSteps && spec.startsWith('RSA_')) return `An RSA private key is too long for ${algorithm}.`
  if (!facts.twoSteps && spec === 'ECC_NIST_P521' && wrappingKeySpec === 'RSA_2048') {
    return `A private key of KeySpec ${spec} is too long for ${algorithm} under RSA_2048.`
  }
  return undefined
}

/** Bytes of imported secrets; private keys come as PKCS #8. */
export const IMPORTED_SECRET_BYTES: Readonly<Partial<Record<KeySpec, { readonly min: number; readonly max: number }>>> =
  {
    SYMMETRIC_DEFAULT: { min: 32, max: 32 },
    HMAC_224: { min: 28, max: 128 },
    HMAC_256: { min: 32, max: 128 },
    HMAC_384: { min: 48, max: 128 },
    HMAC_512: { min: 64, max: 128 },
  }

/** Whether AWS's import knows material of this spec. */
export function isImportable(spec: KeySpec): boolean {
  return IMPORTED_SECRET_BYTES[spec] !== undefined || /^(RSA_|ECC_)/.test(spec)
}

export const EXPIRATION_MODELS = ['KEY_MATERIAL_EXPIRES', 'KEY_MATERIAL_DOES_NOT_EXPIRE'] as const
export type ExpirationModel = (typeof EXPIRATION_MODELS)[number]

export const IMPORT_TYPES = ['NEW_KEY_MATERIAL', 'EXISTING_KEY_MATERIAL'] as const
export type ImportType = (typeof IMPORT_TYPES)[number]
