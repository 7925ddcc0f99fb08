/** Grants: one key lent to one grantee for some operations. They only allow, and do not expire. */
import type { PrincipalIds } from './caller.ts'
import { type KeySpec, type KeyUsage, specFacts } from './key-specs.ts'

/** `any`: every key has it. `symmetric`: what an encrypting key can do that is not a key pair. */
type Fits = KeyUsage | 'any' | 'symmetric' | 'public'

/**
 * THE table of what can be granted, as AWS names it, and the keys that can do it. The action of an operation is its name
 * with `kms:` before it.
 */
const GRANT_OPERATIONS = {
  Decrypt: 'ENCRYPT_DECRYPT',
  Encrypt: 'ENCRYPT_DECRYPT',
  GenerateDataKey: 'symmetric',
  GenerateDataKeyWithoutPlaintext: 'symmetric',
  GenerateDataKeyPair: 'symmetric',
  GenerateDataKeyPairWithoutPlaintext: 'symmetric',
  ReEncryptFrom: 'ENCRYPT_DECRYPT',
  ReEncryptTo: 'ENCRYPT_DECRYPT',
  Sign: 'SIGN_VERIFY',
  Verify: 'SIGN_VERIFY',
  GetPublicKey: 'public',
  CreateGrant: 'any',
  RetireGrant: 'any',
  DescribeKey: 'any',
  GenerateMac: 'GENERATE_VERIFY_MAC',
  VerifyMac: 'GENERATE_VERIFY_MAC',
  DeriveSharedSecret: 'KEY_AGREEMENT',
  Encapsulate: 'ENCAPSULATE_DECAPSULATE',
  Decapsulate: 'ENCAPSULATE_DECAPSULATE',
} as const satisfies Record<string, Fits>

export type GrantOperation = keyof typeof GRANT_OPERATIONS
export const GRANT_OPERATION_NAMES = Object.keys(GRANT_OPERATIONS) as [GrantOperation, ...GrantOperation[]]

/** Whether keys of this kind can do what is to be granted. */
export function fitsKey(
  operation: GrantOperation,
  { spec, usage }: { readonly spec: KeySpec; readonly usage: KeyUsage },
): boolean {
  const fits: Fits = GRANT_OPERATIONS[operation]
  if (fits === 'any') return true
  if (fits === 'public') return specFacts(spec).class === 'asymmetric'
  return fits === 'symmetric' ? spec === 'SYMMETRIC_DEFAULT' : usage === fits
}

export interface GrantConstraints {
  /** The encryption context must be this one. */
  readonly encryptionContextEquals?: ReadonlyMap<string, string>
  /** The encryption context must have all of these pairs. */
  readonly encryptionContextSubset?: ReadonlyMap<string, string>
  /** The request must be made on behalf of this resource. */
  readonly sourceArn?: string
}

export interface GrantTerms {
  /** The ARN of an account's root, a user, role or session, or the name of a service. */
  readonly grantee: string
  /** Likewise; who may retire it. */
  readonly retiring: string | undefined
  readonly operations: readonly GrantOperation[]
  readonly constraints: GrantConstraints
  /** Of grantee and retiring principal. */
  readonly principalIds: PrincipalIds
}

export interface Grant extends GrantTerms {
  /** 64 hex digits, never used again. */
  readonly id: string
  /** Empty when it has none. */
  readonly name: string
  /** The account whose principal made it. */
  readonly issuingAccount: string
  readonly createdAtMs: number
  /** 32 random bytes that only the store knows: what grant tokens are made from (formats/grant-token.ts). */
  readonly tokenSeed: Buffer
}

/** AWS's own bound. */
export const CONSTRAINT_PAIRS_MAX = 8
export const CONSTRAINT_VALUE_MAX_CHARACTERS = 384
