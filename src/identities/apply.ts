/**
 * Makes an account be as a declaration says: first the difference, for the operator to look at, then all of it in one
 * transaction, provided that the difference is still the same.
 */
import { hash } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import type { Identity, IdentityKind, ManagedPolicy } from '../model/identity.ts'
import type { Reader, Store, Transaction } from '../store/store.ts'
import { type Declaration, KINDS_IN_ORDER, normalText, wantedIdentities, wantedPolicies } from './declaration.ts'
import { insertNew, removeFrom, updateStored } from './identities.ts'
import { insertNewPolicy, removePolicyFrom } from './managed-policies.ts'
import { IdentityRefused } from './refused.ts'
import { requireSound, requireSoundPolicy } from './soundness.ts'

/** One identity or policy that is not as the declaration wants it. */
export interface Difference {
  readonly action: 'create' | 'update' | 'delete'
  readonly kind: IdentityKind | 'policy'
  readonly name: string
  /** What goes (`- `) and what comes (`+ `), a fact a line. */
  readonly lines: readonly string[]
}

export interface Plan {
  readonly differences: readonly Difference[]
  /** Of the differences, so that what is applied is what was looked at. */
  readonly digest: string
}

interface Step extends Difference {
  /** Runs inside the transaction. */
  readonly make: (tx: Transaction) => Promise<void>
}

export class Applying {
  readonly #store: Store
  readonly #clock: Clock

  constructor(parts: { store: Store; clock: Clock }) {
    this.#store = parts.store
    this.#clock = parts.clock
  }

  /** Throws {@link IdentityRefused} for a declaration that cannot be applied. */
  async plan(account: string, declaration: Declaration): Promise<Plan> {
    return planOf(await this.#steps(this.#store.reader, account, declaration))
  }

  /** Throws {@link IdentityRefused}, also when the differences are no longer those of `digest`; nothing is changed then. */
  async apply(account: string, declaration: Declaration, digest: string): Promise<Plan> {
    return this.#store.transaction(async tx => {
      const steps = await this.#steps(tx, account, declaration)
      const plan = planOf(steps)
      if (plan.digest !== digest)
        throw new IdentityRefused('the account has changed since the differences were shown: look at them again')
      for (const step of steps) await step.make(tx)
      return plan
    })
  }

  async #steps(reader: Reader, account: string, declaration: Declaration): Promise<Step[]> {
    if ((await reader.findAccount(account)) === undefined) throw new IdentityRefused(`there is no account ${account}`)
    const nowMs = this.#clock()
    const policies = byName(await reader.listManagedPolicies(account))
    const made = wantedPolicies(declaration, account, policies, nowMs).flatMap(policy => {
      requireSoundPolicy(policy)
      return policyStep(policies.get(policy.name), policy)
    })
    const gone: Step[] = []
    for (const kind of KINDS_IN_ORDER) {
      const known = byName(await reader.listIdentities(account, kind))
      const wanted = wantedIdentities(declaration, account, kind, known, nowMs)
      for (const identity of wanted) {
        requireSound(identity)
        made.push(...identityStep(known.get(identity.name), identity))
      }
      // Users go before the groups they are in.
      if (declaration.prune)
        gone.unshift(...unnamed(known, wanted).flatMap(identity => identityStep(identity, undefined)))
    }
    if (declaration.prune) {
      const wanted = Object.keys(declaration.policies).map(name => ({ name }))
      gone.push(...unnamed(policies, wanted).flatMap(policy => policyStep(policy, undefined)))
    }
    return [...made, ...gone]
  }
}

function planOf(steps: readonly Step[]): Plan {
  const differences = steps.map(({ action, kind, name, lines }) => ({ action, kind, name, lines }))
  return { differences, digest: hash('sha256', JSON.stringify(differences)) }
}

function identityStep(before: Identity | undefined, after: Identity | undefined): Step[] {
  const make = (tx: Transaction) => {
    if (after === undefined) return removeFrom(tx, before!)
    return before === undefined ? insertNew(tx, after) : updateStored(tx, before, after)
  }
  const identity = (after ?? before)!
  return step(identity, identity.kind, before && identityFacts(before), after && identityFacts(after), make)
}

function policyStep(before: ManagedPolicy | undefined, after: ManagedPolicy | undefined): Step[] {
  const make = (tx: Transaction) => {
    if (after === undefined) return removePolicyFrom(tx, before!)
    return before === undefined
      ? insertNewPolicy(tx, after)
      : tx.updateManagedPolicy({ ...after, generation: before.generation + 1 })
  }
  return step((after ?? before)!, 'policy', before && policyFacts(before), after && policyFacts(after), make)
}

/** No step at all when nothing differs. */
function step(
  { name }: { readonly name: string },
  kind: Step['kind'],
  before: ReadonlySet<string> | undefined,
  after: ReadonlySet<string> | undefined,
  make: Step['make'],
): Step[] {
  const lines = [
    ...[...(before ?? [])].filter(fact => after?.has(fact) !== true).map(fact => `- ${fact}`),
    ...[...(after ?? [])].filter(fact => before?.has(fact) !== true).map(fact => `+ ${fact}`),
  ]
  if (before !== undefined && after !== undefined && lines.length === 0) return []
  const action = before === undefined ? 'create' : after === undefined ? 'delete' : 'update'
  return [{ action, kind, name, lines, make }]
}

function identityFacts(identity: Identity): Set<string> {
  const { path, tags, inlinePolicies, attachedPolicies, boundary, groups, role, actsFor } = identity
  return new Set([
    `path ${path}`,
    ...[...tags].map(([key, value]) => `tag ${key}=${value}`),
    ...[...inlinePolicies].map(([policy, document]) => `policy ${policy} ${normalText(document)}`),
    ...attachedPolicies.map(policy => `attached ${policy}`),
    ...groups.map(group => `group ${group}`),
    ...actsFor.map(account => `acts for ${account}`),
    ...(boundary === undefined ? [] : [`boundary ${boundary}`]),
    ...(role === undefined
      ? []
      : [`trust ${normalText(role.trustPolicy)}`, `maxSessionSeconds ${role.sessionSecondsMax}`]),
  ])
}

function policyFacts({ path, description, versions, defaultVersion }: ManagedPolicy): Set<string> {
  const document = versions.get(defaultVersion)?.document ?? '{}'
  return new Set([`path ${path}`, `description ${description}`, `document ${normalText(document)}`])
}

function byName<T extends { readonly name: string }>(records: readonly T[]): Map<string, T> {
  return new Map(records.map(record => [record.name, record]))
}

function unnamed<T>(known: ReadonlyMap<string, T>, wanted: readonly { readonly name: string }[]): T[] {
  const names = new Set(wanted.map(({ name }) => name))
  return [...known].filter(([name]) => !names.has(name)).map(([, record]) => record)
}
