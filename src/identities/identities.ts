/** Users, roles, groups and services: made, changed and removed, one whole identity in one transaction. */
import { parsePolicy } from '../access/policy/parse.ts'
import { identify } from '../access/principals.ts'
import type { Clock } from '../base/clock.ts'
import { groupArn, roleArn, rootArn, servicePrincipal, userArn } from '../model/arn.ts'
import {
  FULL_ACCESS_POLICY,
  FULL_ACCESS_POLICY_NAME,
  type Identity,
  type IdentityKind,
  type RoleTerms,
} from '../model/identity.ts'
import type { Reader, Store, Transaction } from '../store/store.ts'
import { IdentityRefused } from './refused.ts'
import { ID_PREFIXES, newId, requireSound, SESSION_SECONDS_DEFAULT } from './soundness.ts'

/** The kinds that an operator makes; a root comes and goes with its account. */
export const MANAGED_KINDS = ['user', 'role', 'group', 'service'] as const
export type ManagedKind = (typeof MANAGED_KINDS)[number]

/** Which identity. */
export interface IdentityName {
  readonly account: string
  readonly kind: IdentityKind
  readonly name: string
}

export interface NewIdentity extends IdentityName {
  readonly kind: ManagedKind
  readonly path?: string | undefined
  readonly tags?: ReadonlyMap<string, string> | undefined
  /** Attaches an inline policy that allows kms:*. */
  readonly fullAccess?: boolean | undefined
  /** Of a role, which must have one. */
  readonly trustPolicy?: string | undefined
  readonly sessionSecondsMax?: number | undefined
}

export class Identities {
  readonly #store: Store
  readonly #clock: Clock

  constructor(parts: { store: Store; clock: Clock }) {
    this.#store = parts.store
    this.#clock = parts.clock
  }

  /** Makes an identity, which has no right until a policy gives it one. Throws {@link IdentityRefused}. */
  async create(request: NewIdentity): Promise<Identity> {
    const identity = newIdentity(request, this.#clock())
    requireSound(identity)
    await this.#store.transaction(tx => insertNew(tx, identity))
    return identity
  }

  list(account: string, kind: IdentityKind): Promise<Identity[]> {
    return this.#store.reader.listIdentities(account, kind)
  }

  /** Throws {@link IdentityRefused} when there is none. */
  find(name: IdentityName): Promise<Identity> {
    return findIn(this.#store.reader, name)
  }

  groupMembers(group: Identity): Promise<string[]> {
    return this.#store.reader.listGroupMembers(group)
  }

  /** Removes an identity with its access keys. Throws {@link IdentityRefused}, for a group that has users too. */
  async remove(name: IdentityName): Promise<Identity> {
    return this.#store.transaction(async tx => {
      const identity = await findIn(tx, name)
      await removeFrom(tx, identity)
      return identity
    })
  }

  /** Changes what `change` returns differently, and stores it when it is sound. Throws {@link IdentityRefused}. */
  async change(name: IdentityName, change: (identity: Identity) => Partial<Identity>): Promise<Identity> {
    return this.#store.transaction(async tx => {
      const before = await findIn(tx, name)
      const after: Identity = { ...before, ...change(before), generation: before.generation + 1 }
      requireSound(after)
      await updateStored(tx, before, after)
      return after
    })
  }

  putPolicy(name: IdentityName, policy: string, document: string): Promise<Identity> {
    return this.change(name, ({ inlinePolicies }) => ({
      inlinePolicies: new Map([...inlinePolicies, [policy, document]]),
    }))
  }

  removePolicy(name: IdentityName, policy: string): Promise<Identity> {
    return this.change(name, ({ inlinePolicies }) => {
      if (!inlinePolicies.has(policy)) throw new IdentityRefused(`${name.kind} ${name.name} has no policy ${policy}`)
      return { inlinePolicies: new Map([...inlinePolicies].filter(([each]) => each !== policy)) }
    })
  }

  attach(name: IdentityName, policy: string): Promise<Identity> {
    return this.change(name, ({ attachedPolicies }) => ({ attachedPolicies: withName(attachedPolicies, policy) }))
  }

  detach(name: IdentityName, policy: string): Promise<Identity> {
    return this.change(name, ({ attachedPolicies }) => {
      if (!attachedPolicies.includes(policy))
        throw new IdentityRefused(`policy ${policy} is not attached to ${name.kind} ${name.name}`)
      return { attachedPolicies: attachedPolicies.filter(each => each !== policy) }
    })
  }

  /** `undefined` takes the boundary away. */
  setBoundary(name: IdentityName, policy: string | undefined): Promise<Identity> {
    return this.change(name, () => ({ boundary: policy }))
  }

  tag(name: IdentityName, tags: ReadonlyMap<string, string>): Promise<Identity> {
    return this.change(name, before => ({ tags: new Map([...before.tags, ...tags]) }))
  }

  untag(name: IdentityName, keys: readonly string[]): Promise<Identity> {
    return this.change(name, ({ tags }) => ({ tags: new Map([...tags].filter(([key]) => !keys.includes(key))) }))
  }

  join(user: IdentityName, group: string): Promise<Identity> {
    return this.change(user, ({ groups }) => ({ groups: withName(groups, group) }))
  }

  leave(user: IdentityName, group: string): Promise<Identity> {
    return this.change(user, ({ groups }) => {
      if (!groups.includes(group)) throw new IdentityRefused(`user ${user.name} is not in group ${group}`)
      return { groups: groups.filter(each => each !== group) }
    })
  }

  changeRole(name: IdentityName, terms: Partial<RoleTerms>): Promise<Identity> {
    return this.change(name, ({ role }) => {
      if (role === undefined) throw new IdentityRefused(`${name.kind} ${name.name} is no role`)
      return { role: { ...role, ...terms } }
    })
  }

  /** Names the accounts on behalf of whose users and sessions a service may call; no account ends it. */
  setActsFor(name: Omit<IdentityName, 'kind'>, accounts: readonly string[]): Promise<Identity> {
    return this.change({ ...name, kind: 'service' }, () => ({ actsFor: [...new Set(accounts)].sort() }))
  }

  /** Makes every session of a role that was issued so far invalid. */
  revokeSessions(name: IdentityName): Promise<Identity> {
    return this.changeRole(name, { revokedBeforeMs: this.#clock() + 1 })
  }
}

/** An identity as it is before anything has been stored. Throws {@link IdentityRefused} for a role without trust policy. */
export function newIdentity(request: NewIdentity, nowMs: number): Identity {
  const { account, kind, name, path = '/', fullAccess = false, trustPolicy } = request
  if (kind === 'role' && trustPolicy === undefined) throw new IdentityRefused('a role needs a trust policy')
  return {
    ...{ principalId: newId(ID_PREFIXES[kind]), account, kind, path, name, arn: arnOf(request) },
    ...{ createdAtMs: nowMs, generation: 1, tags: request.tags ?? new Map() },
    inlinePolicies: new Map(fullAccess ? [[FULL_ACCESS_POLICY_NAME, FULL_ACCESS_POLICY]] : []),
    ...{ attachedPolicies: [], boundary: undefined, groups: [] },
    role:
      trustPolicy === undefined
        ? undefined
        : {
            trustPolicy,
            trustPrincipals: new Map(),
            sessionSecondsMax: request.sessionSecondsMax ?? SESSION_SECONDS_DEFAULT,
            revokedBeforeMs: 0,
          },
    actsFor: [],
  }
}

/** The account as a principal: AWS gives it the account's own id. */
export function rootOf(account: string, nowMs: number): Identity {
  return {
    ...{ principalId: account, account, kind: 'root', path: '/', name: 'root', arn: rootArn(account) },
    ...{ createdAtMs: nowMs, generation: 1, tags: new Map(), inlinePolicies: new Map() },
    ...{ attachedPolicies: [], boundary: undefined, groups: [], role: undefined, actsFor: [] },
  }
}

function arnOf({ account, kind, path = '/', name }: NewIdentity): string {
  if (kind === 'service') return servicePrincipal(name)
  return { user: userArn, role: roleArn, group: groupArn }[kind](account, path, name)
}

/** Stores a new identity. Throws {@link IdentityRefused} when its name is taken. */
export async function insertNew(tx: Transaction, identity: Identity): Promise<void> {
  const { account, kind, name } = identity
  if ((await tx.findAccount(account)) === undefined) throw new IdentityRefused(`there is no account ${account}`)
  if ((await tx.findIdentity(account, kind, name)) !== undefined)
    throw new IdentityRefused(`there is a ${kind} ${name} already`)
  await requireReferences(tx, identity)
  await tx.insertIdentity(await withTrust(tx, undefined, identity))
}

/** Stores a changed identity, one generation on. */
export async function updateStored(tx: Transaction, before: Identity, after: Identity): Promise<void> {
  await requireReferences(tx, after)
  const bound = await withTrust(tx, before, after)
  await tx.updateIdentity({ ...bound, generation: before.generation + 1 })
}

/**
 * The identity with those whom a changed trust policy means: they must be there, and one that is made again under the same
 * name is not meant. Throws {@link IdentityRefused}.
 */
async function withTrust(tx: Transaction, before: Identity | undefined, after: Identity): Promise<Identity> {
  const { role } = after
  if (role === undefined) return after
  if (before?.role?.trustPolicy === role.trustPolicy)
    return { ...after, role: { ...role, trustPrincipals: before.role.trustPrincipals } }
  const trusted = await identify(tx, parsePolicy('trust', 'the trust policy', role.trustPolicy).principalArns)
  if ('unknown' in trusted)
    throw new IdentityRefused(`trust policy of role ${after.name}: there is no ${trusted.unknown}`)
  return { ...after, role: { ...role, trustPrincipals: trusted } }
}

export async function removeFrom(tx: Transaction, identity: Identity): Promise<void> {
  if (identity.kind === 'root') throw new IdentityRefused('the root goes with its account')
  const members = identity.kind === 'group' ? await tx.listGroupMembers(identity) : []
  if (members.length > 0) throw new IdentityRefused(`group ${identity.name} has users: ${members.join(', ')}`)
  await tx.deleteIdentity(identity)
}

async function findIn(reader: Reader, { account, kind, name }: IdentityName): Promise<Identity> {
  const identity = await reader.findIdentity(account, kind, name)
  if (identity === undefined) throw new IdentityRefused(`there is no ${kind} ${name} in account ${account}`)
  return identity
}

/** Throws {@link IdentityRefused} for policies, groups and accounts that do not exist. */
async function requireReferences(tx: Transaction, identity: Identity): Promise<void> {
  const { account, attachedPolicies, boundary, groups, actsFor } = identity
  for (const policy of [...attachedPolicies, ...(boundary === undefined ? [] : [boundary])]) {
    if ((await tx.findManagedPolicy(account, policy)) === undefined)
      throw new IdentityRefused(`there is no policy ${policy} in account ${account}`)
  }
  for (const name of groups) await findIn(tx, { account, kind: 'group', name })
  for (const id of actsFor)
    if ((await tx.findAccount(id)) === undefined) throw new IdentityRefused(`there is no account ${id}`)
}

/** In ascending order, each once. */
function withName(names: readonly string[], name: string): string[] {
  return [...new Set([...names, name])].sort()
}
