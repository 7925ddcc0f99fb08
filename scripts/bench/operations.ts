/** What is measured, and what one measurement gives. */
import type { KeySpec, KeyUsageType } from '@aws-sdk/client-kms'

/** One operation with one kind of key. */
export interface OperationFacts {
  /** As KMS names it. */
  readonly wireName: string
  readonly key: { readonly KeySpec: KeySpec; readonly KeyUsage: KeyUsageType }
  /** Members of every request, beside what {@link needs} brings. */
  readonly members: Readonly<Record<string, string>>
  /** What differs from request to request, and where it comes from. */
  readonly needs: 'nothing' | 'message' | 'plaintext' | 'ciphertext' | 'signature'
}

const ENCRYPTION = { KeySpec: 'SYMMETRIC_DEFAULT', KeyUsage: 'ENCRYPT_DECRYPT' } as const
const MAC = { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' } as const
const P256 = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' } as const
const RSA = { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' } as const
const ECDSA = { SigningAlgorithm: 'ECDSA_SHA_256' } as const
const PKCS1 = { SigningAlgorithm: 'RSASSA_PKCS1_V1_5_SHA_256' } as const

const facts = {
  GenerateDataKey: { wireName: 'GenerateDataKey', key: ENCRYPTION, members: { KeySpec: 'AES_256' }, needs: 'nothing' },
  Encrypt: { wireName: 'Encrypt', key: ENCRYPTION, members: {}, needs: 'plaintext' },
  Decrypt: { wireName: 'Decrypt', key: ENCRYPTION, members: {}, needs: 'ciphertext' },
  ReEncrypt: { wireName: 'ReEncrypt', key: ENCRYPTION, members: {}, needs: 'ciphertext' },
  'Sign:RSA_2048': { wireName: 'Sign', key: RSA, members: PKCS1, needs: 'message' },
  'Sign:ECC_NIST_P256': { wireName: 'Sign', key: P256, members: ECDSA, needs: 'message' },
  'Verify:RSA_2048': { wireName: 'Verify', key: RSA, members: PKCS1, needs: 'signature' },
  'Verify:ECC_NIST_P256': { wireName: 'Verify', key: P256, members: ECDSA, needs: 'signature' },
  'GenerateMac:HMAC_256': {
    ...{ wireName: 'GenerateMac', key: MAC },
    ...{ members: { MacAlgorithm: 'HMAC_SHA_256' }, needs: 'message' },
  },
  'GenerateDataKeyPair:ECC_NIST_P256': {
    ...{ wireName: 'GenerateDataKeyPair', key: ENCRYPTION },
    ...{ members: { KeyPairSpec: 'ECC_NIST_P256' }, needs: 'nothing' },
  },
} as const satisfies Record<string, OperationFacts>

/** KMS's name; after a colon the spec of the key, or of the pair that is generated. */
export type Operation = keyof typeof facts
export const OPERATIONS = Object.keys(facts) as Operation[]

export function factsOf(operation: Operation): OperationFacts {
  return facts[operation]
}

export const SERVERS = ['raw', 'daemon', 'naive'] as const
export type ServerName = (typeof SERVERS)[number]

/** The plaintext of Encrypt and Decrypt: the size of a data key, so that all three operations seal the same bytes. */
export const PLAINTEXT_BYTES = 32

/** What is signed, or made a MAC of. */
export const MESSAGE_BYTES = 32

/** Requests that differ, sent in turn: a server that cached answers by their bytes would be found out. */
export const VARIANTS = 64

/** One measurement: operations that were done, and the CPU time that all processes of the server took for them. */
export interface Sample {
  readonly operations: number
  readonly opsPerSec: number
  /** CPU microseconds for one operation, user and system, over all processes of the server. */
  readonly cpuUs: number
  /** How {@link cpuUs} is split, for a server with HSM hosts. */
  readonly serviceCpuUs?: number
  readonly hostsCpuUs?: number
  /** CPU microseconds of the load generator for one operation; not part of {@link cpuUs}. */
  readonly loadCpuUs?: number
}

/** A sample, and how quiet the machine was: the share of it that neither the server nor its load used. */
export interface Measurement extends Sample {
  readonly othersCpuPercent: number
}

/** Something that can be measured. */
export interface Subject {
  readonly name: ServerName
  /** Whether it has the operation at all. */
  offers(operation: Operation): boolean
  measure(operation: Operation, seconds: number): Promise<Sample>
}

/** Keeps its own token and its own processes until it is disposed of. */
export interface Server extends Subject, AsyncDisposable {}
