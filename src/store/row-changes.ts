/**
 * What one transaction reads and writes of the records that carry MACs. Each is remembered as it was when it was first
 * touched; at the end those are verified, so that nothing that was changed by hand is signed by the change that follows, and
 * what was written is signed and entered in the ledger, in as few commands as there can be.
 */
import type { DomainGate } from './domain-gate.ts'
import { Ledger } from './ledger.ts'
import { type MacChange, writeMacs } from './mac-changes.ts'
import type { RowGuard } from './row-guard.ts'
import { isForgotten, type RowName, readContent, textOf } from './sql/aggregates.ts'
import { type FoundRow, findRow, NO_CONTENT } from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'
import type { RegionAnchor } from './stored-row-macs.ts'

export class RowChanges {
  readonly #guard: RowGuard
  readonly #db: Handle
  readonly #ledger: Ledger
  readonly #before = new Map<string, FoundRow>()
  readonly #written = new Map<string, RowName>()
  readonly #adopted = new Set<string>()
  readonly #domains: DomainGate

  constructor(guard: RowGuard, domains: DomainGate, db: Handle) {
    this.#guard = guard
    this.#domains = domains
    this.#db = db
    this.#ledger = new Ledger(db)
  }

  /** Before the first statement that changes them. */
  async willWrite(...names: readonly RowName[]): Promise<void> {
    for (const name of names) {
      await this.reliesOn(name)
      if (this.#before.has(textOf(name))) this.#written.set(textOf(name), name)
    }
  }

  /** With a read that something is decided upon. */
  async reliesOn(...names: readonly RowName[]): Promise<void> {
    for (const name of names) {
      if (this.#before.has(textOf(name)) || !(await this.#guard.isComplete(this.#db))) continue
      this.#before.set(textOf(name), await findRow(this.#db, name, this.#ledger))
    }
  }

  /** Signs what it holds at the end, and does not ask what it was before. */
  async adopt(name: RowName): Promise<void> {
    await this.willWrite(name)
    this.#adopted.add(textOf(name))
  }

  /**
   * Verifies and signs; the last step before the commit. Returns what is to be remembered after it. Throws RowRefused,
   * StoreRolledBack, and what the signer throws.
   */
  async finish(): Promise<readonly RegionAnchor[]> {
    if (this.#before.size === 0) return []
    const changed: FoundRow[] = []
    const changes: MacChange[] = []
    for (const [text, name] of this.#written) {
      const before = this.#before.get(text)!
      const content = await readContent(this.#db, name)
      if (content.equals(before.content) && !this.#adopted.has(text)) continue
      if (content.equals(NO_CONTENT) && isForgotten(name)) changes.push({ row: before, mac: undefined })
      else changed.push({ ...before, content })
    }
    const reliedOn = [...this.#before].flatMap(([text, row]) => (this.#adopted.has(text) ? [] : [row]))
    await this.#domains.require(reliedOn)
    const [refusals, macs] = await Promise.all([
      this.#guard.refusals(reliedOn, this.#guard.horizon()),
      changed.length === 0 ? [] : this.#guard.sign(changed),
    ])
    const [refusal] = refusals
    if (refusal !== undefined) throw this.#guard.refuse(refusal)
    for (const [at, row] of changed.entries()) changes.push({ row, mac: macs[at]! })
    return writeMacs(this.#db, this.#guard, this.#ledger, changes)
  }
}
