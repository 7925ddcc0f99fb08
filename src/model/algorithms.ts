/**
 * THE table of algorithms that a caller can name: what each is in the words of its standard, and the hash it works with.
 * Service and crypto world read it alike; which mechanism of a token does the work is the crypto world's business.
 */

const HASHES = ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'] as const
export type Hash = (typeof HASHES)[number]

export const HASH_BYTES: Readonly<Record<Hash, number>> = { sha1: 20, sha224: 28, sha256: 32, sha384: 48, sha512: 64 }

/**
 * - `PKCS1`: RSASSA-PKCS1-v1_5 (RFC 8017 section 8.2)
 * - `PSS`: RSASSA-PSS with a salt as long as the hash (RFC 8017 section 8.1)
 * - `ECDSA`: FIPS 186-5, a signature as DER of ECDSA-Sig-Value (RFC 3279 section 2.2.3)
 * - `ED25519`: pure EdDSA on the message (RFC 8032 section 5.1)
 */
export type SignatureScheme = 'PKCS1' | 'PSS' | 'ECDSA' | 'ED25519'

/**
 * What a caller hands over: the message, its digest, or what ML-DSA makes of message and public key (FIPS 204 section 6.2, mu).
 */
export const MESSAGE_TYPES = ['RAW', 'DIGEST', 'EXTERNAL_MU'] as const
export type MessageType = (typeof MESSAGE_TYPES)[number]

export interface SigningAlgorithmFacts {
  readonly scheme: SignatureScheme
  /** What is signed is this hash of the message; absent where the scheme takes the message itself. */
  readonly hash?: Hash
}

const signing = {
  RSASSA_PSS_SHA_256: { scheme: 'PSS', hash: 'sha256' },
  RSASSA_PSS_SHA_384: { scheme: 'PSS', hash: 'sha384' },
  RSASSA_PSS_SHA_512: { scheme: 'PSS', hash: 'sha512' },
  RSASSA_PKCS1_V1_5_SHA_256: { scheme: 'PKCS1', hash: 'sha256' },
  RSASSA_PKCS1_V1_5_SHA_384: { scheme: 'PKCS1', hash: 'sha384' },
  RSASSA_PKCS1_V1_5_SHA_512: { scheme: 'PKCS1', hash: 'sha512' },
  ECDSA_SHA_256: { scheme: 'ECDSA', hash: 'sha256' },
  ECDSA_SHA_384: { scheme: 'ECDSA', hash: 'sha384' },
  ECDSA_SHA_512: { scheme: 'ECDSA', hash: 'sha512' },
  ED25519_SHA_512: { scheme: 'ED25519' },
} as const satisfies Record<string, SigningAlgorithmFacts>

/** Every name of AWS's model, those included that no token here can do. */
export const SIGNING_ALGORITHMS = [
  'RSASSA_PSS_SHA_256',
  'RSASSA_PSS_SHA_384',
  'RSASSA_PSS_SHA_512',
  'RSASSA_PKCS1_V1_5_SHA_256',
  'RSASSA_PKCS1_V1_5_SHA_384',
  'RSASSA_PKCS1_V1_5_SHA_512',
  'ECDSA_SHA_256',
  'ECDSA_SHA_384',
  'ECDSA_SHA_512',
  'SM2DSA',
  'ML_DSA_SHAKE_256',
  'ED25519_SHA_512',
  'ED25519_PH_SHA_512',
] as const
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number]

/** Bytes of what comes as each message type; a message may have any length. Types that are not here do not fit. */
type InputBytes = Readonly<Partial<Record<Exclude<MessageType, 'RAW'>, number>>> & { readonly RAW?: 'any' }

/** Algorithms that no token was there to prove, with what a token needs for each. */
const unproven: Readonly<Record<string, { readonly inputs: InputBytes; readonly needs: string }>> = {
  SM2DSA: { inputs: { RAW: 'any', DIGEST: 32 }, needs: 'a mechanism that PKCS#11 does not have' },
  ML_DSA_SHAKE_256: { inputs: { RAW: 'any', EXTERNAL_MU: 64 }, needs: 'CKM_ML_DSA' },
  // RFC 8032 section 5.1: the digest that comes is the message, and is hashed once more.
  ED25519_PH_SHA_512: { inputs: { DIGEST: 64 }, needs: 'CKM_EDDSA with the phFlag of CK_EDDSA_PARAMS' },
}

/** Which message types an algorithm takes, and how long what comes must be. */
export function signingInputs(algorithm: SigningAlgorithm): InputBytes {
  const { hash } = signingFacts(algorithm) ?? {}
  const own = { RAW: 'any', ...(hash === undefined ? {} : { DIGEST: HASH_BYTES[hash] }) } as const
  return unproven[algorithm]?.inputs ?? own
}

/** What tokens lack for an algorithm that is not made here. */
export function signingNeeds(algorithm: SigningAlgorithm): string | undefined {
  return unproven[algorithm]?.needs
}

/** Undefined for algorithms that are not made here. */
export function signingFacts(algorithm: string): SigningAlgorithmFacts | undefined {
  return Object.hasOwn(signing, algorithm) ? signing[algorithm as keyof typeof signing] : undefined
}

export const MAC_ALGORITHMS = ['HMAC_SHA_224', 'HMAC_SHA_256', 'HMAC_SHA_384', 'HMAC_SHA_512'] as const
export const KEY_AGREEMENT_ALGORITHMS = ['ECDH'] as const
export const ENCAPSULATION_ALGORITHMS = ['ML_KEM'] as const

/** RSAES-OAEP (RFC 8017 section 7.1) with an empty label; MGF1 uses the same hash. */
export const OAEP_HASH = { RSAES_OAEP_SHA_1: 'sha1', RSAES_OAEP_SHA_256: 'sha256' } as const
export type OaepAlgorithm = keyof typeof OAEP_HASH

export function isOaep(algorithm: string): algorithm is OaepAlgorithm {
  return Object.hasOwn(OAEP_HASH, algorithm)
}

/** The longest message that OAEP takes: modulus - 2 hashes - 2 (RFC 8017 section 7.1.1). */
export function oaepMaxBytes(modulusBytes: number, algorithm: OaepAlgorithm): number {
  return modulusBytes - 2 * HASH_BYTES[OAEP_HASH[algorithm]] - 2
}
