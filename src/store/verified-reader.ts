/** Reads whose answers have been held against their MACs: record and MAC are of one moment. */
import type { RowGuard } from './row-guard.ts'
import { type RowName, textOf } from './sql/aggregates.ts'
import { DecidingReader, type Listed } from './sql/deciding-reader.ts'
import { SqlReader } from './sql/reader.ts'
import { type FoundRow, findRow } from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'
import type { Page } from './store.ts'

/** A record that changes again and again while it is read is as good as locked. */
const ATTEMPTS_MAX = 5

export class VerifiedReader extends DecidingReader {
  readonly #snapshots: Handle
  readonly #guard: RowGuard

  /** `snapshots` runs transactions that only read. */
  constructor(db: Handle, snapshots: Handle, guard: RowGuard) {
    super(db)
    this.#snapshots = snapshots
    this.#guard = guard
  }

  /** Throws RowRefused. Without anybody who verifies, and in a store whose records carry no MACs, it only reads. */
  protected override async checked<T>(
    find: (reader: SqlReader) => Promise<T | undefined>,
    madeOf: (record: T, db: Handle) => readonly RowName[] | Promise<readonly RowName[]>,
  ): Promise<T | undefined> {
    if (!this.#guard.present || !(await this.#guard.isComplete(this.db))) return find(new SqlReader(this.db))
    for (let attempt = 1; ; attempt += 1) {
      const { record, rows } = await this.#snapshots.transaction().execute(async db => {
        const found = await find(new SqlReader(db))
        if (found === undefined) return { record: undefined, rows: [] }
        const names = await madeOf(found, db)
        const read = []
        for (const name of names) read.push(await findRow(db, name))
        return { record: found, rows: read }
      })
      const [refusal] = await this.#guard.refusals(rows)
      if (refusal === undefined) return record
      if (!refusal.mayBeOld || attempt === ATTEMPTS_MAX) throw this.#guard.refuse(refusal)
    }
  }

  /** Leaves out, and reports, what is not genuine: one record that was changed by hand does not hide the others. */
  protected override async checkedAll<T>(
    list: (reader: SqlReader) => Promise<T[]>,
    madeOf: (item: T) => readonly RowName[],
  ): Promise<T[]> {
    if (!this.#guard.present || !(await this.#guard.isComplete(this.db))) return list(new SqlReader(this.db))
    for (let attempt = 1; ; attempt += 1) {
      const { items, rows } = await this.#snapshots.transaction().execute(async db => {
        const found = await list(new SqlReader(db))
        const read = new Map<string, FoundRow>()
        for (const name of found.flatMap(madeOf)) {
          if (!read.has(textOf(name))) read.set(textOf(name), await findRow(db, name))
        }
        return { items: found, rows: [...read.values()] }
      })
      const refusals = await this.#guard.refusals(rows)
      if (refusals.some(({ mayBeOld }) => mayBeOld) && attempt < ATTEMPTS_MAX) continue
      const refused = new Set(refusals.map(({ row }) => textOf(row.name)))
      for (const refusal of refusals) this.#guard.refuse(refusal)
      return items.filter(item => !madeOf(item).some(name => refused.has(textOf(name))))
    }
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
