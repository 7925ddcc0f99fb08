/**
 * Which accounts have a label of their own in metrics: the first so many that prove who they are, until the process ends.
 * Nobody without an access key adds one, and no number of tenants adds more series than an operator has allowed.
 */

/** The label of a request whose caller has proved nothing. */
export const NO_ACCOUNT = 'none'
/** The label of every account beyond the bound. */
export const OTHER_ACCOUNTS = 'other'

export class AccountLabels {
  readonly #max: number
  readonly #named = new Set<string>()

  constructor(max: number) {
    this.#max = max
  }

  /** The label of an account that has proved itself; undefined for a caller who has not. */
  of(account: string | undefined): string {
    if (account === undefined) return NO_ACCOUNT
    if (this.#named.has(account)) return account
    if (this.#named.size >= this.#max) return OTHER_ACCOUNTS
    this.#named.add(account)
    return account
  }
}
