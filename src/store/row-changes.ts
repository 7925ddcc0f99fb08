/**
 * What one transaction reads and writes of the records that carry MACs. Each is remembered as it was when it was first
 * touched; at the end those are verified, so that nothing that was changed by hand is signed by the change that follows, and
 * what was written is signed, in as few commands as there can be.
 */
import type { RowGuard } from './row-guard.ts'
import { isForgotten, primaryKeyOf, type RowName, textOf } from './sql/aggregates.ts'
import { deleteMac, type FoundRow, findRow, NO_CONTENT, putMac, type StoredMac } from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'

export class RowChanges {
  readonly #guard: RowGuard
  readonly #db: Handle
  readonly #before = new Map<string, FoundRow>()
  readonly #written = new Map<string, RowName>()

  constructor(guard: RowGuard, db: Handle) {
    this.#guard = guard
    this.#db = db
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
      this.#before.set(textOf(name), await findRow(this.#db, name))
    }
  }

  /**
   * Verifies and signs; the last step before the commit. Returns what is to be remembered after it. Throws RowRefused, and
   * what the signer throws.
   */
  async finish(): Promise<{ row: FoundRow; mac: StoredMac }[]> {
    if (this.#before.size === 0) return []
    const changed: FoundRow[] = []
    const forgotten: RowName[] = []
    for (const [text, name] of this.#written) {
      const before = this.#before.get(text)!
      const { content } = await findRow(this.#db, name)
      if (content.equals(before.content)) continue
      if (content.equals(NO_CONTENT) && isForgotten(name)) forgotten.push(name)
      else changed.push({ ...before, content })
    }
    const [refusals, macs] = await Promise.all([
      this.#guard.refusals([...this.#before.values()]),
      changed.length === 0 ? [] : this.#guard.sign(changed),
    ])
    const [refusal] = refusals
    if (refusal !== undefined) throw this.#guard.refuse(refusal)
    const signed = changed.map((row, at) => ({ row, mac: macs[at]! }))
    for (const { row, mac } of signed) await putMac(this.#db, row.name.table, primaryKeyOf(row.name), mac)
    for (const name of forgotten) await deleteMac(this.#db, name.table, primaryKeyOf(name))
    return signed
  }
}
