/** What identities and policies may look like: names, bounds and documents, checked whenever one is about to be stored. */
import { randomInt } from 'node:crypto'
import { type PolicyKind, parsePolicy } from '../access/policy/parse.ts'
import { HOUR_MS, SECOND_MS } from '../base/clock.ts'
import type { Identity, IdentityKind, ManagedPolicy } from '../model/identity.ts'
import { IdentityRefused } from './refused.ts'

/** AWS's prefixes, so that an id tells what it names; `ASVC` is our own. */
export const ID_PREFIXES = { user: 'AIDA', role: 'AROA', group: 'AGPA', service: 'ASVC', policy: 'ANPA' } as const
const ID_CHARACTERS = 17
/** AWS's alphabet for ids: no 0, 1, 8 or 9, which are easily misread. */
const ID_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

const NAME = /^[\w+=,.@-]{1,64}$/
const POLICY_NAME = /^[\w+=,.@-]{1,128}$/
/** A service's name becomes a host name: `<name>.amazonaws.com`. */
const SERVICE_NAME = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const PATH = /^\/(?:[\u0021-\u007e]{1,510}\/)?$/
export const TAG_KEY = /^(?!aws:)[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/iu
export const TAG_VALUE = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u

const INLINE_DOCUMENT_MAX = 10_240
const MANAGED_DOCUMENT_MAX = 6_144
const TRUST_POLICY_MAX = 8_192
const DESCRIPTION_MAX = 1_000
export const POLICY_VERSIONS_MAX = 5

const TAGS_MAX = 50
const INLINE_POLICIES_MAX = 20
const ATTACHED_POLICIES_MAX = 20
const GROUPS_MAX = 10
const ACCOUNTS_ACTED_FOR_MAX = 100

export const SESSION_SECONDS_MIN = 900
export const SESSION_SECONDS_MAX = (12 * HOUR_MS) / SECOND_MS
export const SESSION_SECONDS_DEFAULT = HOUR_MS / SECOND_MS

/** A random id of AWS's form: a prefix of four letters, then `characters` more. */
export function newId(prefix: string, characters = ID_CHARACTERS): string {
  return prefix + Array.from({ length: characters }, () => ID_ALPHABET[randomInt(ID_ALPHABET.length)]).join('')
}

/** Throws {@link IdentityRefused} for an identity that may not be stored. */
export function requireSound(identity: Identity): void {
  const { kind, name, path, tags, inlinePolicies, attachedPolicies, groups, role, actsFor } = identity
  requireName(kind, name)
  requirePath(path)
  for (const [key, value] of tags) {
    if (!TAG_KEY.test(key)) refuse(`tag "${key}": a key has 1 to 128 letters, digits, spaces and _.:/=+-@, and no aws:`)
    if (!TAG_VALUE.test(value)) refuse(`tag "${key}": a value has at most 256 letters, digits, spaces and _.:/=+-@`)
  }
  requireCount(tags.size, TAGS_MAX, 'tags')
  requireCount(inlinePolicies.size, INLINE_POLICIES_MAX, 'inline policies')
  requireCount(attachedPolicies.length, ATTACHED_POLICIES_MAX, 'attached policies')
  requireCount(groups.length, GROUPS_MAX, 'groups')
  if (kind !== 'user' && groups.length > 0) refuse(`a ${kind} is in no group: users are`)
  requireCount(actsFor.length, ACCOUNTS_ACTED_FOR_MAX, 'accounts that it acts for')
  if (kind !== 'service' && actsFor.length > 0) refuse(`a ${kind} acts for no account: services do`)
  const holder = `${kind} ${name}`
  if ((kind === 'group' || kind === 'root') && identity.boundary !== undefined) refuse(`a ${kind} has no boundary`)
  if (kind === 'root' && inlinePolicies.size + attachedPolicies.length > 0) refuse('no policy applies to the root')
  for (const [policy, document] of inlinePolicies) {
    if (!POLICY_NAME.test(policy)) refuse('a policy name has 1 to 128 letters, digits and _+=,.@-')
    requireDocument(document, INLINE_DOCUMENT_MAX, 'identity', `policy ${policy} of ${holder}`)
  }
  if ((kind === 'role') !== (role !== undefined)) refuse(`${holder}: a role has a trust policy, and nothing else has`)
  if (role === undefined) return
  requireDocument(role.trustPolicy, TRUST_POLICY_MAX, 'trust', `trust policy of ${holder}`)
  const { sessionSecondsMax: seconds } = role
  if (seconds < HOUR_MS / SECOND_MS || seconds > SESSION_SECONDS_MAX)
    refuse(`${holder}: the longest session has 3600 to ${SESSION_SECONDS_MAX} seconds`)
}

/** Throws {@link IdentityRefused} for a managed policy that may not be stored. */
export function requireSoundPolicy(policy: ManagedPolicy): void {
  const { name, path, description, versions, defaultVersion } = policy
  if (!POLICY_NAME.test(name)) refuse('a policy name has 1 to 128 letters, digits and _+=,.@-')
  requirePath(path)
  if (description.length > DESCRIPTION_MAX) refuse(`a description has at most ${DESCRIPTION_MAX} characters`)
  requireCount(versions.size, POLICY_VERSIONS_MAX, 'versions of a policy')
  const inForce = versions.get(defaultVersion)
  if (inForce === undefined) refuse(`policy ${name} has no version ${defaultVersion}`)
  else requireDocument(inForce.document, MANAGED_DOCUMENT_MAX, 'identity', `policy ${name}`)
}

function requireName(kind: IdentityKind, name: string): void {
  if (kind !== 'service' && !NAME.test(name)) refuse('a name has 1 to 64 letters, digits and _+=,.@-')
  if (kind === 'service' && !SERVICE_NAME.test(name))
    refuse('the name of a service has 1 to 63 small letters, digits and hyphens, and begins with a letter')
}

function requirePath(path: string): void {
  if (!PATH.test(path)) refuse('a path begins and ends with /')
}

function requireCount(count: number, max: number, things: string): void {
  if (count > max) refuse(`there are ${count} ${things}, and may be ${max}`)
}

function requireDocument(text: string, max: number, use: PolicyKind, what: string): void {
  if (text.length > max) refuse(`${what}: it has ${text.length} characters, and may have ${max}`)
  try {
    parsePolicy(use, what, text)
  } catch (error) {
    throw new IdentityRefused(`${what}: ${(error as Error).message}`, { cause: error })
  }
}

function refuse(message: string): never {
  throw new IdentityRefused(message)
}
