/**
 * Where the keys of a spec live in a region: wrapped in the key store, where every token can take them back; in a token alone;
 * or nowhere. The tokens' profiles decide, at each key anew.
 */
import { homeIn, needsOf, type SpecNeeds } from '../hsm/contract/key-mechanisms.ts'
import type { TokenProfile } from '../hsm/contract/token-profile.ts'
import { type HsmPool, PoolUnavailable } from '../hsm/pool/pool.ts'
import { KmsError } from '../model/errors.ts'
import type { Ekt } from '../model/key.ts'
import { type KeySpec, specFacts } from '../model/key-specs.ts'

export interface KeyHome {
  readonly resident: boolean
  /** Of the tokens that can make such a key; undefined for all of the region. */
  readonly serials: readonly string[] | undefined
}

type Tokens = Pick<HsmPool, 'members' | 'resident' | 'region'>

/**
 * Where a new key is to live. Throws KmsError UnsupportedOperationException that names what the tokens lack, and
 * {@link PoolUnavailable} when a token that has not been reached yet may be able to.
 */
export function homeFor(pool: Tokens, spec: KeySpec): KeyHome {
  const needs = needsOf(spec)
  if (needs === undefined) {
    if (pool.resident && specFacts(spec).class === 'asymmetric') {
      unsupported(`Tokens of this Region wrap no keys, and keys of KeySpec ${spec} cannot reside in them.`)
    }
    return { resident: pool.resident, serials: undefined }
  }
  if (needs.kind === undefined) return unsupported(reasonAgainst(profilesOf(pool), spec, needs))
  // An EKT that some tokens cannot unwrap would end the region's rotation in the first of them.
  const wrapping = serialsWith(pool, needs, 'ekt')
  if (!pool.resident && wrapping.length === pool.members.length) return { resident: false, serials: undefined }
  const keeping = serialsWith(pool, needs, 'resident')
  if (keeping.length > 0) return { resident: true, serials: keeping }
  const profiles = profilesOf(pool)
  if (profiles.length < pool.members.length)
    throw new PoolUnavailable(`a token of region ${pool.region} has not told yet whether it makes ${spec}`)
  return unsupported(reasonAgainst(profiles, spec, needs))
}

/**
 * The tokens that can use a key; undefined where all can, or where its record names them. An EKT is of use only to tokens
 * that unwrap keys of its kind, and a token may have joined the region that does not.
 */
export function serversOf(pool: Tokens, spec: KeySpec, { holders }: Ekt): readonly string[] | undefined {
  const needs = needsOf(spec)
  if (needs === undefined || holders !== undefined) return undefined
  return allOrSome(pool, serialsWith(pool, needs, 'ekt'))
}

/**
 * The tokens that can make a pair of this spec for a caller and seal it under a key; undefined where all can that hold the
 * key. Throws as {@link homeFor}.
 */
export function makersOf(pool: Tokens, spec: KeySpec, { holders }: Ekt): readonly string[] | undefined {
  if (needsOf(spec) === undefined) return undefined
  const { serials } = homeFor(pool, spec)
  if (serials === undefined || holders === undefined) return serials
  const both = holders.filter(serial => serials.includes(serial))
  return both.length > 0 ? both : unsupported(`The token that holds the KMS key makes no key pairs of ${spec}.`)
}

function profilesOf({ members }: Tokens): TokenProfile[] {
  return members.flatMap(({ profile }) => (profile === undefined ? [] : [profile]))
}

function serialsWith(pool: Tokens, needs: SpecNeeds, home: 'ekt' | 'resident'): string[] {
  return profilesOf(pool).flatMap(profile => (homeIn(profile, needs) === home ? [profile.serial] : []))
}

function allOrSome({ members }: Tokens, serials: readonly string[]): readonly string[] | undefined {
  return serials.length === members.length ? undefined : serials
}

function reasonAgainst(profiles: readonly TokenProfile[], spec: KeySpec, { kind, mechanisms }: SpecNeeds): string {
  if (mechanisms.length === 0) return `KeySpec ${spec} needs a mechanism that PKCS#11 does not have.`
  const lacking = (some: 'some' | 'every') =>
    mechanisms.filter(name => !profiles[some](({ keyMechanisms }) => keyMechanisms.includes(name))).join(' and ')
  if (lacking('some') !== '') return `KeySpec ${spec} needs ${lacking('some')}, which no token of this Region has.`
  if (lacking('every') !== '')
    return `KeySpec ${spec} needs ${lacking('every')}, which not every token of this Region has.`
  const why = kind === undefined ? 'have been proven on no token' : 'failed the self-test of the token that has them'
  return `KeySpec ${spec} needs ${mechanisms.join(' and ')}, which ${why}.`
}

function unsupported(message: string): never {
  throw new KmsError('UnsupportedOperationException', message)
}
