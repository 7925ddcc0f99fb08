/** Reads whose answers have been held against their MACs: record and MAC are of one moment. */
import type { RowGuard } from './row-guard.ts'
import type { RowName } from './sql/aggregates.ts'
import { DecidingReader } from './sql/deciding-reader.ts'
import { SqlReader } from './sql/reader.ts'
import { findRow } from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'

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
}
