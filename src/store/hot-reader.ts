/** What every request reads, from memory: keys, aliases, access keys and principals, each in a bounded cache of its own. */
import type { AccessKey, ManagedPolicy, Principal } from '../model/identity.ts'
import type { Alias, KmsKey } from '../model/key.ts'
import { RowRefused } from './faults.ts'
import { RecordCache } from './record-cache.ts'
import type { Scope } from './records.ts'
import type { HotReader, Reader } from './store.ts'
import { scopedName, type Touched } from './touched.ts'

/** Held besides the keys: an access key and a principal for each of that many callers. */
const CALLERS_HELD = 10_000
/** Managed policies that sessions were limited by. */
const MANAGED_POLICIES_HELD = 1_000

/** A key with many grants, or with a long policy, takes the room of several. */
const GRANTS_PER_PLACE = 16
const POLICY_CHARACTERS_PER_PLACE = 2_048

/** Whose a key is. */
interface Owner {
  readonly account: string
}

function weightOf({ grants, policy }: KmsKey): number {
  return 1 + Math.ceil(grants.length / GRANTS_PER_PLACE) + Math.floor(policy.length / POLICY_CHARACTERS_PER_PLACE)
}

export class CachedReader implements HotReader {
  readonly #reader: Reader
  readonly #keys: RecordCache<KmsKey>
  readonly #aliases: RecordCache<Alias>
  /** An id belongs to one account for ever. */
  readonly #owners: RecordCache<Owner>
  readonly #accessKeys = new RecordCache<AccessKey>(CALLERS_HELD)
  readonly #principals = new RecordCache<Principal>(CALLERS_HELD)
  readonly #managedPolicies = new RecordCache<ManagedPolicy>(MANAGED_POLICIES_HELD)
  #databaseReads = 0

  /** Holds up to `capacity` keys and as many aliases. */
  constructor(reader: Reader, capacity: number) {
    this.#reader = reader
    this.#keys = new RecordCache(capacity, weightOf)
    this.#aliases = new RecordCache(capacity)
    this.#owners = new RecordCache(capacity)
  }

  get databaseReads(): number {
    return this.#databaseReads
  }

  get hits(): number {
    const callers = this.#accessKeys.hits + this.#principals.hits + this.#managedPolicies.hits
    return this.#keys.hits + this.#aliases.hits + this.#owners.hits + callers
  }

  /** Records held, of every kind. */
  get size(): number {
    const callers = this.#accessKeys.size + this.#principals.size + this.#managedPolicies.size
    return this.#keys.size + this.#aliases.size + callers
  }

  key(scope: Scope, keyId: string): KmsKey | undefined | Promise<KmsKey | undefined> {
    const name = scopedName(scope, keyId)
    return this.#keys.held(name) ?? this.#readKey(name, scope, keyId)
  }

  // Reads apart from what memory answers: a function that makes a closure pays for it even where it does not get there.
  #readKey(name: string, scope: Scope, keyId: string): Promise<KmsKey | undefined> {
    return this.#keys.load(
      name,
      this.#counted(() => this.#reader.findKey(scope, keyId)),
    )
  }

  keyOwner(region: string, keyId: string): string | undefined | Promise<string | undefined> {
    const name = `${region}/${keyId}`
    const held = this.#owners.held(name)
    if (held !== undefined) return held.account
    const read = this.#counted(() => this.#reader.findKeyOwner(region, keyId))
    const load = async () => {
      const account = await read()
      return account === undefined ? undefined : { account }
    }
    return this.#owners.load(name, load).then(owner => owner?.account)
  }

  alias(scope: Scope, name: string): Alias | undefined | Promise<Alias | undefined> {
    const scoped = scopedName(scope, name)
    return (
      this.#aliases.held(scoped) ??
      this.#aliases.load(
        scoped,
        this.#counted(() => this.#reader.findAlias(scope, name)),
      )
    )
  }

  accessKey(id: string): AccessKey | undefined | Promise<AccessKey | undefined> {
    return this.#accessKeys.held(id) ?? this.#readAccessKey(id)
  }

  #readAccessKey(id: string): Promise<AccessKey | undefined> {
    return this.#accessKeys.load(
      id,
      this.#counted(() => known(this.#reader.findAccessKey(id))),
    )
  }

  principal(id: string): Principal | undefined | Promise<Principal | undefined> {
    return this.#principals.held(id) ?? this.#readPrincipal(id)
  }

  #readPrincipal(id: string): Promise<Principal | undefined> {
    return this.#principals.load(
      id,
      this.#counted(() => known(this.#reader.findPrincipal(id))),
    )
  }

  managedPolicy(account: string, name: string): ManagedPolicy | undefined | Promise<ManagedPolicy | undefined> {
    const named = `${account}/${name}`
    return (
      this.#managedPolicies.held(named) ??
      this.#managedPolicies.load(
        named,
        this.#counted(() => this.#reader.findManagedPolicy(account, name)),
      )
    )
  }

  /** After a transaction of this process, whatever became of it: forgetting what did not change does no harm. */
  forget({ keys, aliases, accessKeys, principals, everyPrincipal }: Touched): void {
    if (keys.size > 0) this.#keys.forget(keys)
    if (aliases.size > 0) this.#aliases.forget(aliases)
    if (accessKeys.size > 0) this.#accessKeys.forget(accessKeys)
    if (principals.size > 0) {
      this.#principals.forget(principals)
      this.#accessKeys.forgetWhere(({ principalId }) => principals.has(principalId))
    }
    if (everyPrincipal) {
      this.#principals.forgetAll()
      this.#managedPolicies.forgetAll()
    }
  }

  /** After another process has written: what, is not known. */
  forgetAll(): void {
    this.#keys.forgetAll()
    this.#owners.forgetAll()
    this.#aliases.forgetAll()
    this.#accessKeys.forgetAll()
    this.#principals.forgetAll()
    this.#managedPolicies.forgetAll()
  }

  #counted<T>(read: () => Promise<T>): () => Promise<T> {
    return () => {
      this.#databaseReads++
      return read()
    }
  }
}

/** Who calls with what somebody has changed by hand is nobody that is known here. */
async function known<T>(reading: Promise<T | undefined>): Promise<T | undefined> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof RowRefused) return undefined
    throw error
  }
}
