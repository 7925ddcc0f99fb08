/**
 * The file of `strongroom identity apply`: which identities and policies an account is to have. What it names is made to
 * be exactly as it says; what it does not name stays, unless it says `prune`. Access keys and sessions are not in it.
 */
import { z } from 'zod'
import type { Identity, ManagedPolicy } from '../model/identity.ts'
import { type ManagedKind, newIdentity } from './identities.ts'
import { newManagedPolicy, withVersion } from './managed-policies.ts'
import { IdentityRefused } from './refused.ts'

/** Of identities or policies of one kind; what a file may hold is bounded by the admin socket's bound on a request. */
const named = <T extends z.ZodType>(shape: T) => z.record(z.string().min(1).max(128), shape).default({})
/** A policy document as YAML or JSON has it, not as text. */
const document = z.record(z.string(), z.json())
const names = z.array(z.string().min(1).max(128)).max(100).default([])

const identity = z.strictObject({
  /** Begins and ends with `/`. It is part of the ARN. */
  path: z.string().max(512).default('/'),
  tags: named(z.string().max(256)),
  /** Inline policies, by name. */
  policies: named(document),
  /** Names of managed policies of the account. */
  attached: names,
  /** The managed policy that is its permissions boundary. */
  boundary: z.string().min(1).max(128).optional(),
  /** Of a user. */
  groups: names,
  /** Of a service: accounts on behalf of whose users and sessions it may call. */
  actsFor: z
    .array(z.string().regex(/^\d{12}$/))
    .max(100)
    .default([]),
  /** Of a role: who may assume it. */
  trust: document.optional(),
  /** Of a role: the longest session. */
  maxSessionSeconds: z.int().optional(),
})

const policy = z.strictObject({
  path: z.string().max(512).default('/'),
  description: z.string().max(1_000).default(''),
  document,
})

export const declarationShape = z.strictObject({
  policies: named(policy),
  groups: named(identity),
  users: named(identity),
  roles: named(identity),
  services: named(identity),
  /** Removes every identity and policy of the account that the file does not name. */
  prune: z.boolean().default(false),
})
export type Declaration = z.infer<typeof declarationShape>

const SECTIONS = { group: 'groups', user: 'users', role: 'roles', service: 'services' } as const

/** Kinds in the order in which they can be made: users name groups. */
export const KINDS_IN_ORDER: readonly ManagedKind[] = ['group', 'user', 'role', 'service']

/** The identities of one kind as the file wants them: what is there already keeps its ids and dates. */
export function wantedIdentities(
  declaration: Declaration,
  account: string,
  kind: ManagedKind,
  existing: ReadonlyMap<string, Identity>,
  nowMs: number,
): Identity[] {
  return Object.entries(declaration[SECTIONS[kind]]).map(([name, entry]) => {
    const { path, boundary, trust } = entry
    const trustPolicy = trust && textOf(trust)
    const fresh = newIdentity(
      { account, kind, name, path, trustPolicy, sessionSecondsMax: entry.maxSessionSeconds },
      nowMs,
    )
    const known = existing.get(name)
    return {
      ...(known ?? fresh),
      ...{ path, arn: fresh.arn, tags: new Map(Object.entries(entry.tags)) },
      inlinePolicies: new Map(Object.entries(entry.policies).map(([policy, text]) => [policy, textOf(text)])),
      attachedPolicies: [...new Set(entry.attached)].sort(),
      boundary,
      groups: [...new Set(entry.groups)].sort(),
      actsFor: [...new Set(entry.actsFor)].sort(),
      role:
        fresh.role === undefined ? undefined : { ...fresh.role, revokedBeforeMs: known?.role?.revokedBeforeMs ?? 0 },
    }
  })
}

/** The managed policies as the file wants them: another document is another version. */
export function wantedPolicies(
  declaration: Declaration,
  account: string,
  existing: ReadonlyMap<string, ManagedPolicy>,
  nowMs: number,
): ManagedPolicy[] {
  return Object.entries(declaration.policies).map(([name, entry]) => {
    const { path, description } = entry
    const text = textOf(entry.document)
    const known = existing.get(name)
    if (known === undefined) return newManagedPolicy({ account, name, path, description, document: text }, nowMs)
    if (path !== known.path) throw new IdentityRefused(`policy ${name}: its path cannot change, it is ${known.path}`)
    const inForce = known.versions.get(known.defaultVersion)?.document
    const changed = inForce === undefined || normalText(inForce) !== text
    return { ...known, description, ...(changed ? withVersion(known, text, nowMs) : {}) }
  })
}

/** A document without the white space that somebody typed. */
export function normalText(document: string): string {
  return JSON.stringify(JSON.parse(document))
}

function textOf(document: object): string {
  return JSON.stringify(document)
}
