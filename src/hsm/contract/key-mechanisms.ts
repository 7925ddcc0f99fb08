/**
 * Key pairs that not every token has the mechanisms for, by PKCS#11 3.2's names. RSA and the curves of ECDSA are not here:
 * what makes a token a member of a region includes them.
 */
import type { KeySpec } from '../../model/key-specs.ts'
import type { PrivateKeyHome, TokenProfile } from './token-profile.ts'

/** What keys of a spec need of a token. */
export interface SpecNeeds {
  /** Which self-test speaks for them; absent where no token was there to prove them on, so that none are made. */
  readonly kind?: keyof TokenProfile['privateKeys']
  /** Empty where PKCS#11 has none. */
  readonly mechanisms: readonly string[]
}

const ML_DSA: SpecNeeds = { mechanisms: ['CKM_ML_DSA_KEY_PAIR_GEN', 'CKM_ML_DSA'] }
const ML_KEM = { mechanisms: ['CKM_ML_KEM_KEY_PAIR_GEN', 'CKM_ML_KEM'] } as const

const NEEDS: Readonly<Partial<Record<KeySpec, SpecNeeds>>> = {
  ECC_NIST_EDWARDS25519: { kind: 'EC_EDWARDS', mechanisms: ['CKM_EC_EDWARDS_KEY_PAIR_GEN', 'CKM_EDDSA'] },
  ML_DSA_44: ML_DSA,
  ML_DSA_65: ML_DSA,
  ML_DSA_87: ML_DSA,
  ML_KEM_512: { ...ML_KEM, kind: 'ML_KEM_512' },
  ML_KEM_768: { ...ML_KEM, kind: 'ML_KEM_768' },
  ML_KEM_1024: { ...ML_KEM, kind: 'ML_KEM_1024' },
  SM2: { mechanisms: [] },
}

/** Undefined for specs that every token serves. */
export function needsOf(spec: KeySpec): SpecNeeds | undefined {
  return NEEDS[spec]
}

/** Every name above, each once. */
export const KEY_MECHANISMS: readonly string[] = [
  ...new Set(Object.values(NEEDS).flatMap(({ mechanisms }) => mechanisms)),
]

/** Where a token can keep private keys of a spec that is not every token's. */
export function homeIn({ privateKeys }: Pick<TokenProfile, 'privateKeys'>, { kind }: SpecNeeds): PrivateKeyHome {
  return kind === undefined ? 'none' : privateKeys[kind]
}
