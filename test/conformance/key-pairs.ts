/** What the tests of key pairs share: which algorithms there are, and node:crypto's view of them. */
import { constants, createPublicKey, type KeyObject, type SigningOptions } from 'node:crypto'
import type { SigningAlgorithmSpec } from '@aws-sdk/client-kms'
import type { Key, Kind } from './kms.ts'
import { kms } from './kms.ts'

export type Signer = Required<Kind>

export const ED25519_SIGNER = { KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' } as const
export const P256_SIGNER = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' } as const

const RSA_ALGORITHMS = [
  'RSASSA_PKCS1_V1_5_SHA_256',
  'RSASSA_PKCS1_V1_5_SHA_384',
  'RSASSA_PKCS1_V1_5_SHA_512',
  'RSASSA_PSS_SHA_256',
  'RSASSA_PSS_SHA_384',
  'RSASSA_PSS_SHA_512',
] as const

/** Every algorithm of every spec that signs. */
export const SIGNATURES: readonly (readonly [spec: Signer['KeySpec'] & string, algorithm: SigningAlgorithmSpec])[] = [
  ...(['RSA_2048', 'RSA_3072', 'RSA_4096'] as const).flatMap(spec =>
    RSA_ALGORITHMS.map(algorithm => [spec, algorithm] as const),
  ),
  ['ECC_NIST_P256', 'ECDSA_SHA_256'],
  ['ECC_NIST_P384', 'ECDSA_SHA_384'],
  ['ECC_NIST_P521', 'ECDSA_SHA_512'],
  ['ECC_SECG_P256K1', 'ECDSA_SHA_256'],
]

export const signer = (KeySpec: string): Kind => ({ KeySpec, KeyUsage: 'SIGN_VERIFY' }) as Kind

export function hashOf(algorithm: string): 'sha256' | 'sha384' | 'sha512' {
  return `sha${algorithm.slice(-3)}` as 'sha256'
}

/** As node:crypto names it. */
export function paddingOf(algorithm: string): SigningOptions {
  if (!algorithm.includes('PSS')) return {}
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
}

export async function publicKeyOf({ id }: Key): Promise<KeyObject> {
  const { PublicKey } = await kms.getPublicKey({ KeyId: id })
  return createPublicKey({ key: Buffer.from(PublicKey!), format: 'der', type: 'spki' })
}
