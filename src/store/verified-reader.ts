/** Reads whose answers have been held against their MACs: record, MAC and ledger are of one moment. */
import type { RowGuard } from './row-guard.ts'
import type { RowName } from './sql/aggregates.ts'
import { DecidingReader } from './sql/deciding-reader.ts'
import { SqlReader } from './sql/reader.ts'
import { findRows } from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'

export class VerifiedReader extends DecidingReader {
  readonly #snapshots: Handle
  readonly #guard: RowGuard

  /** `snapshots` runs transactions that only read. */
  constructor(db: Handle, snapshots: Handle, guard: RowGuard) {
    super(db)
    this.#snapshots = snapshots
    this.#guard = guard
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
    const [refusal] = await this.#guard.refusals(rows, horizon)
    if (refusal !== undefined) throw this.#guard.refuse(refusal)
    return record
  }
}
