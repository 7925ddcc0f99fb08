/** Reads whose answers have been held against their MACs: record, MAC and ledger are of one moment. */
import type { DomainGate } from './domain-gate.ts'
import type { Page } from './records.ts'
import type { RowGuard } from './row-guard.ts'
import { type RowName, textOf } from './sql/aggregates.ts'
import { DecidingReader, type Listed } from './sql/deciding-reader.ts'
import { SqlReader } from './sql/reader.ts'
import { findRows } from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'

export class VerifiedReader extends DecidingReader {
  readonly #snapshots: Handle
  readonly #guard: RowGuard
  readonly #domains: DomainGate

  /** `snapshots` runs transactions that only read. */
  constructor(db: Handle, snapshots: Handle, guard: RowGuard, domains: DomainGate) {
    super(db)
    this.#snapshots = snapshots
    this.#guard = guard
    this.#domains = domains
  }

  /** Throws RowRefused and StoreRolledBack. Without anybody who verifies, and in a store whose records carry no MACs, it only reads. */
  protected override async checked<T>(
    find: (reader: SqlReader) => Promise<T | undefined>,
    madeOf: (record: T, db: Handle) => readonly RowName[] | Promise<readonly RowName[]>,
  ): Promise<T | undefined> {
    if (!this.#guard.present || !(await this.#guard.isComplete(this.db))) return find(new SqlReader(this.db))
    const horizon = this.#guard.horizon()
    const { record, rows } = await this.#snapshots.transaction().execute(async db => {
      const found = await find(new SqlReader(db))
      return { record: found, rows: found === undefined ? [] : await findRows(db, await madeOf(found, db)) }
    })
    await this.#domains.require(rows)
    const [refusal] = await this.#guard.refusals(rows, horizon)
    if (refusal !== undefined) throw this.#guard.refuse(refusal)
    return record
  }

  /** Leaves out, and reports, what is not genuine: one record that was changed by hand does not hide the others. */
  protected override async checkedAll<T>(
    list: (reader: SqlReader) => Promise<T[]>,
    madeOf: (item: T) => readonly RowName[],
  ): Promise<T[]> {
    if (!this.#guard.present || !(await this.#guard.isComplete(this.db))) return list(new SqlReader(this.db))
    const horizon = this.#guard.horizon()
    const { items, rows } = await this.#snapshots.transaction().execute(async db => {
      const found = await list(new SqlReader(db))
      const names = new Map(found.flatMap(madeOf).map(name => [textOf(name), name]))
      return { items: found, rows: await findRows(db, [...names.values()]) }
    })
    await this.#domains.require(rows)
    const refusals = await this.#guard.refusals(rows, horizon)
    const refused = new Set(refusals.map(({ record }) => record))
    for (const refusal of refusals) this.#guard.refuse(refusal)
    return items.filter(item => !madeOf(item).some(name => refused.has(textOf(name))))
  }

  protected override async checkedPage<T>(
    page: Page,
    list: (reader: SqlReader, page: Page) => Promise<T[]>,
    { madeOf, nameOf }: Listed<T>,
  ): Promise<T[]> {
    const items: T[] = []
    for (let after = page.after; ; ) {
      let last: string | undefined
      const asked = { after, limit: page.limit - items.length }
      const more = async (reader: SqlReader) => {
        const found = await list(reader, asked)
        last = found.length < asked.limit ? undefined : found.map(nameOf).at(-1)
        return found
      }
      items.push(...(await this.checkedAll(more, madeOf)))
      if (last === undefined || items.length === page.limit) return items
      after = last
    }
  }
}
