/** Accounts: made with their root, and removed when nothing is left in them. */
import type { Clock } from '../base/clock.ts'
import type { Account } from '../model/identity.ts'
import type { Store } from '../store/store.ts'
import { MANAGED_KINDS, rootOf } from './identities.ts'
import { IdentityRefused } from './refused.ts'

const ACCOUNT_NAME_MAX = 128

export class Accounts {
  readonly #store: Store
  readonly #clock: Clock

  constructor(parts: { store: Store; clock: Clock }) {
    this.#store = parts.store
    this.#clock = parts.clock
  }

  list(): Promise<Account[]> {
    return this.#store.reader.listAccounts()
  }

  /** `id` has 12 digits. Throws {@link IdentityRefused} when it is taken. */
  async create(id: string, name = ''): Promise<Account> {
    if (name.length > ACCOUNT_NAME_MAX)
      throw new IdentityRefused(`an account's name has at most ${ACCOUNT_NAME_MAX} characters`)
    const account: Account = { id, name, createdAtMs: this.#clock() }
    await this.#store.transaction(async tx => {
      if ((await tx.findAccount(id)) !== undefined) throw new IdentityRefused(`there is an account ${id} already`)
      await tx.insertAccount(account)
      await tx.insertIdentity(rootOf(id, account.createdAtMs))
    })
    return account
  }

  /** Throws {@link IdentityRefused} when the account has keys, identities or policies. */
  async remove(id: string): Promise<Account> {
    return this.#store.transaction(async tx => {
      const account = await tx.findAccount(id)
      if (account === undefined) throw new IdentityRefused(`there is no account ${id}`)
      const left = (await tx.accountHasKeys(id)) ? ['keys'] : []
      for (const kind of MANAGED_KINDS) if ((await tx.listIdentities(id, kind)).length > 0) left.push(`${kind}s`)
      if ((await tx.listManagedPolicies(id)).length > 0) left.push('policies')
      if (left.length > 0) throw new IdentityRefused(`account ${id} is not empty: it has ${left.join(', ')}`)
      const root = await tx.findIdentity(id, 'root', 'root')
      if (root !== undefined) await tx.deleteIdentity(root)
      await tx.deleteAccount(id)
      return account
    })
  }
}
