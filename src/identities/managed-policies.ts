/** Managed policies and their versions: the newest is in force until an operator goes back to an older one. */
import type { Clock } from '../base/clock.ts'
import { policyArn } from '../model/arn.ts'
import type { ManagedPolicy } from '../model/identity.ts'
import type { Reader, Store, Transaction } from '../store/store.ts'
import { IdentityRefused } from './refused.ts'
import { ID_PREFIXES, newId, POLICY_VERSIONS_MAX, requireSoundPolicy } from './soundness.ts'

export interface NewManagedPolicy {
  readonly account: string
  readonly name: string
  readonly path?: string | undefined
  readonly description?: string | undefined
  readonly document: string
}

export class ManagedPolicies {
  readonly #store: Store
  readonly #clock: Clock

  constructor(parts: { store: Store; clock: Clock }) {
    this.#store = parts.store
    this.#clock = parts.clock
  }

  /** Throws {@link IdentityRefused}. */
  async create(request: NewManagedPolicy): Promise<ManagedPolicy> {
    const policy = newManagedPolicy(request, this.#clock())
    requireSoundPolicy(policy)
    await this.#store.transaction(tx => insertNewPolicy(tx, policy))
    return policy
  }

  list(account: string): Promise<ManagedPolicy[]> {
    return this.#store.reader.listManagedPolicies(account)
  }

  /** Throws {@link IdentityRefused} when there is none. */
  find(account: string, name: string): Promise<ManagedPolicy> {
    return findIn(this.#store.reader, account, name)
  }

  /** What it is attached to, as `<kind> <name>`. */
  holders(policy: ManagedPolicy): Promise<string[]> {
    return this.#store.reader.listPolicyHolders(policy)
  }

  /** Puts a new version in force; the oldest goes when there are more than can be kept. */
  update(account: string, name: string, document: string): Promise<ManagedPolicy> {
    return this.#change(account, name, policy => withVersion(policy, document, this.#clock()))
  }

  setDefault(account: string, name: string, version: number): Promise<ManagedPolicy> {
    return this.#change(account, name, () => ({ defaultVersion: version }))
  }

  /** Throws {@link IdentityRefused} while it is attached to somebody. */
  async remove(account: string, name: string): Promise<ManagedPolicy> {
    return this.#store.transaction(async tx => {
      const policy = await findIn(tx, account, name)
      await removePolicyFrom(tx, policy)
      return policy
    })
  }

  #change(
    account: string,
    name: string,
    change: (policy: ManagedPolicy) => Partial<ManagedPolicy>,
  ): Promise<ManagedPolicy> {
    return this.#store.transaction(async tx => {
      const before = await findIn(tx, account, name)
      const after: ManagedPolicy = { ...before, ...change(before), generation: before.generation + 1 }
      requireSoundPolicy(after)
      await tx.updateManagedPolicy(after)
      return after
    })
  }
}

export function newManagedPolicy(request: NewManagedPolicy, nowMs: number): ManagedPolicy {
  const { account, name, path = '/', description = '', document } = request
  return {
    ...{ id: newId(ID_PREFIXES.policy), account, path, name, arn: policyArn(account, path, name), description },
    ...{ createdAtMs: nowMs, generation: 1, defaultVersion: 1 },
    versions: new Map([[1, { document, createdAtMs: nowMs }]]),
  }
}

/** The versions with one more, which is in force. */
export function withVersion(
  { versions }: ManagedPolicy,
  document: string,
  nowMs: number,
): Pick<ManagedPolicy, 'versions' | 'defaultVersion'> {
  const number = Math.max(...versions.keys()) + 1
  const kept = [...versions].slice(-(POLICY_VERSIONS_MAX - 1))
  return { versions: new Map([...kept, [number, { document, createdAtMs: nowMs }]]), defaultVersion: number }
}

/** Stores a new policy. Throws {@link IdentityRefused} when its name is taken. */
export async function insertNewPolicy(tx: Transaction, policy: ManagedPolicy): Promise<void> {
  const { account, name } = policy
  if ((await tx.findAccount(account)) === undefined) throw new IdentityRefused(`there is no account ${account}`)
  if ((await tx.findManagedPolicy(account, name)) !== undefined)
    throw new IdentityRefused(`there is a policy ${name} already`)
  await tx.insertManagedPolicy(policy)
}

export async function removePolicyFrom(tx: Transaction, policy: ManagedPolicy): Promise<void> {
  const holders = await tx.listPolicyHolders(policy)
  if (holders.length > 0) throw new IdentityRefused(`policy ${policy.name} is in use: ${holders.join(', ')}`)
  await tx.deleteManagedPolicy(policy)
}

async function findIn(reader: Reader, account: string, name: string): Promise<ManagedPolicy> {
  const policy = await reader.findManagedPolicy(account, name)
  if (policy === undefined) throw new IdentityRefused(`there is no policy ${name} in account ${account}`)
  return policy
}
