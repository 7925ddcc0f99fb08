/**
 * What removed rows have left in the database, and whether it is still to be overwritten (security.md 4.4). Others, such as a
 * backup, may keep that from being done for as long as they read: then it stays owed.
 */
export class Scrubbing {
  readonly #scrub: () => Promise<void>
  /** Counts what was owed: what is added while a scrub runs is not paid by it. One that ended before may have left some. */
  #debts = 1
  #paid = 0

  constructor(scrub: () => Promise<void>) {
    this.#scrub = scrub
  }

  get owed(): boolean {
    return this.#paid < this.#debts
  }

  /** A transaction that removed key material has ended. */
  owe(): void {
    this.#debts += 1
  }

  /** Throws what the database throws; then it is owed as before. */
  async pay(): Promise<void> {
    const debts = this.#debts
    await this.#scrub()
    this.#paid = Math.max(this.#paid, debts)
  }
}
