/**
 * What a token can do, in the names of the standards: worked out at a host's start from the token's mechanism list,
 * proven by self-tests, and never changed while the host lives. Configuration may pin parts of it, never widen them.
 */
import { z } from 'zod'
import { ANY, GCM_IV_MAKERS, KDF_SCHEMES, KEY_WRAP_SCHEMES } from '../../base/token-schemes.ts'
import { WRAP_SCHEMES } from '../../formats/ekt.ts'

export const OAEP_HASHES = ['SHA-256', 'SHA-1'] as const
export type OaepHash = (typeof OAEP_HASHES)[number]

/** What profiles call a hash of model/algorithms.ts, and the other way round. */
export const OAEP_NAMES = { sha1: 'SHA-1', sha256: 'SHA-256' } as const satisfies Record<string, OaepHash>
export const HASH_OF_OAEP = { 'SHA-1': 'sha1', 'SHA-256': 'sha256' } as const satisfies Record<OaepHash, string>

/**
 * What a token does with an attribute that keeps a PIN holder out: it holds to it, it takes it and does not hold to it, or
 * it takes no key that carries it. `untested` where it can do nothing with a key that the attribute would forbid.
 */
const enforcement = z.enum(['enforced', 'accepted-not-enforced', 'rejected', 'untested'])
export type Enforcement = z.infer<typeof enforcement>

/** Where the HBK of a kind of private key can live: wrapped in the key store, in the token alone, or nowhere. */
const privateKeyHome = z.enum(['ekt', 'resident', 'none'])
export type PrivateKeyHome = z.infer<typeof privateKeyHome>

export const tokenIdentity = z.strictObject({
  label: z.string(),
  serial: z.string(),
  manufacturer: z.string(),
  model: z.string(),
})

/** The schemes of a region: new EKTs are wrapped and derived from by these, and every token of the region has them. */
export const schemes = z.strictObject({ wrapScheme: z.enum(WRAP_SCHEMES), kdf: z.enum(KDF_SCHEMES) })
export type Schemes = z.infer<typeof schemes>

export const tokenProfile = tokenIdentity.extend({
  /** The entry of the vendor table that fits; `unknown` where none does. */
  vendor: z.string(),
  /** Proven by known answer, best first. */
  wrapSchemes: z.array(z.enum(WRAP_SCHEMES)),
  /** Proven by known answer, best first. */
  kdfs: z.array(z.enum(KDF_SCHEMES)),
  /** Where AES-256-GCM runs. */
  gcm: z.enum(['token', 'host', 'none']),
  gcmIv: z.enum(GCM_IV_MAKERS),
  /** The longest message that was sealed in one part, or the vendor's word where that is less. */
  gcmMaxBytes: z.int().nonnegative(),
  hmac: z.boolean(),
  /** RSA-OAEP in the token, best first. */
  oaepHashes: z.array(z.enum(OAEP_HASHES)),
  /** RSA-OAEP by which a key comes in wrapped and never leaves the token; by other hashes imports pass through the host. */
  oaepUnwraps: z.array(z.enum(OAEP_HASHES)),
  privateKeys: z.strictObject({
    ...{ RSA: privateKeyHome, EC: privateKeyHome, EC_EDWARDS: privateKeyHome },
    ...{ ML_KEM_512: privateKeyHome, ML_KEM_768: privateKeyHome, ML_KEM_1024: privateKeyHome },
  }),
  /** Of the mechanisms that key-mechanisms.ts names, those that the token lists. */
  keyMechanisms: z.array(z.string()),
  /** CKA_UNWRAP_TEMPLATE on a domain key. */
  unwrapTemplate: enforcement,
  /** CKA_WRAP_WITH_TRUSTED on a key, and CKA_TRUSTED kept from users. */
  trusted: enforcement,
  /** CKA_MODIFIABLE=false. */
  modifiable: enforcement,
  /** CKA_EXTRACTABLE=false, and the rights of a key. */
  rights: enforcement,
  sessionObjects: z.boolean(),
  /** An object that one session made can be used in another. */
  crossSessionHandles: z.boolean(),
  /** 0 where the token names no limit. */
  maxSessions: z.int().nonnegative(),
  /** 0 where nothing is known of a limit. */
  maxLoadedKeys: z.int().nonnegative(),
})
export type TokenProfile = z.infer<typeof tokenProfile>

/** What an operator may pin in the configuration: each narrows what the self-tests proved. */
export const profilePins = z.strictObject({
  wrapScheme: z.enum([ANY, ...KEY_WRAP_SCHEMES]),
  kdf: z.enum([ANY, ...KDF_SCHEMES]),
  gcmIv: z.enum([ANY, ...GCM_IV_MAKERS]),
})
export type ProfilePins = z.infer<typeof profilePins>

/** One self-test. `detail` says what the token answered, or why the test was not made. */
export const selfTest = z.strictObject({
  name: z.string(),
  outcome: z.enum(['passed', 'failed', 'not offered']),
  detail: z.string(),
})
export type SelfTest = z.infer<typeof selfTest>

/** Whether the token refuses whatever a PIN holder would read HBKs by (security.md 3). */
export function seals({ unwrapTemplate, trusted, modifiable, rights }: TokenProfile): boolean {
  return [unwrapTemplate, trusted, modifiable, rights].every(verdict => ['enforced', 'untested'].includes(verdict))
}

/** The best schemes that all these tokens have; undefined where they have none in common. */
export function commonSchemes(profiles: readonly Pick<TokenProfile, 'wrapSchemes' | 'kdfs'>[]): Schemes | undefined {
  const wrapScheme = WRAP_SCHEMES.find(scheme => profiles.every(({ wrapSchemes }) => wrapSchemes.includes(scheme)))
  const kdf = KDF_SCHEMES.find(name => profiles.every(({ kdfs }) => kdfs.includes(name)))
  return wrapScheme === undefined || kdf === undefined ? undefined : { wrapScheme, kdf }
}

/** For messages: `RFC5649; AES-CBC-DATA`. */
export function describeSchemes({ wrapSchemes, kdfs }: Pick<TokenProfile, 'wrapSchemes' | 'kdfs'>): string {
  return `${wrapSchemes.join(', ') || 'no key wrap'}; ${kdfs.join(', ') || 'no key derivation'}`
}
