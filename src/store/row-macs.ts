/** What is done with the MACs of all records: the first ones of a store, the look at every one, others under a new version. */
import type { Database } from './dialects/database.ts'
import { ALL_ROWS, type Refusal, type RowGuard } from './row-guard.ts'
import { AGGREGATE_TABLES, listRowNames, primaryKeyOf } from './sql/aggregates.ts'
import { type FoundRow, findMac, findRow, findRowAt, listMacs, listMacsBelow, putMac } from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'
import type { RowPlace, StoredRowMacs } from './store.ts'

/** Records of one command, and of one transaction where they are signed. */
const BATCH = 64

export class RowMacs implements StoredRowMacs {
  readonly #database: Database
  readonly #guard: RowGuard

  constructor(database: Database, guard: RowGuard) {
    this.#database = database
    this.#guard = guard
  }

  areComplete(): Promise<boolean> {
    return this.#guard.isComplete(this.#database.reader)
  }

  /**
   * One transaction: no record changes between its MAC and the mark that says that all carry one. Those that carry one are
   * held against it, and keep it.
   */
  complete(): Promise<number> {
    return this.#database.writer.transaction().execute(async db => {
      if (await this.#guard.isComplete(db)) return 0
      let signed = 0
      for (const table of AGGREGATE_TABLES) {
        const names = await listRowNames(db, table)
        for (let at = 0; at < names.length; at += BATCH) {
          const rows: FoundRow[] = []
          for (const name of names.slice(at, at + BATCH)) rows.push(await findRow(db, name))
          const [refusal] = await this.#guard.refusals(rows.filter(({ stored }) => stored !== undefined))
          if (refusal !== undefined) throw this.#guard.refuse(refusal)
          const unsigned = rows.filter(({ stored }) => stored === undefined)
          await this.#sign(db, unsigned)
          signed += unsigned.length
        }
      }
      await putMac(db, ALL_ROWS.table, ALL_ROWS.primaryKey, await this.#guard.signComplete())
      return signed
    })
  }

  async verify(after: RowPlace | undefined, limit: number): ReturnType<StoredRowMacs['verify']> {
    const { places, rows } = await this.#database.snapshots.transaction().execute(async db => {
      const places = await listMacs(db, after, limit)
      return { places, rows: await rowsAt(db, places) }
    })
    const refusals: Refusal[] = []
    for (const refusal of await this.#guard.refusals(rows)) {
      // What has changed since it was read is looked at when its turn comes again.
      if (refusal.mayBeOld && (await this.#hasChanged(refusal.row))) continue
      refusals.push(refusal)
    }
    const refused = refusals.map(refusal => this.#guard.refuse(refusal))
    return { verified: places.length, last: places.length < limit ? undefined : places.at(-1), refused }
  }

  /** Verified before the write lock is taken: what has changed in between has been signed by that change. */
  async renew(region: string, version: number, limit: number): Promise<number> {
    const { places, rows } = await this.#database.snapshots.transaction().execute(async db => {
      const places = await listMacsBelow(db, region, version, limit)
      return { places, rows: await rowsAt(db, places) }
    })
    const [refusal] = await this.#guard.refusals(rows)
    if (refusal !== undefined) throw this.#guard.refuse(refusal)
    await this.#database.writer.transaction().execute(async db => {
      const unchanged: FoundRow[] = []
      for (const row of rows) {
        const current = await findRow(db, row.name)
        if (current.stored?.generation === row.stored?.generation && current.content.equals(row.content))
          unchanged.push(row)
      }
      await this.#sign(db, unchanged)
      if (places.some(isAllRows))
        await putMac(db, ALL_ROWS.table, ALL_ROWS.primaryKey, await this.#guard.signComplete())
    })
    return places.length
  }

  async #sign(db: Handle, rows: readonly FoundRow[]): Promise<void> {
    if (rows.length === 0) return
    const macs = await this.#guard.sign(rows)
    for (const [at, { name }] of rows.entries()) await putMac(db, name.table, primaryKeyOf(name), macs[at]!)
  }

  async #hasChanged({ name, stored }: FoundRow): Promise<boolean> {
    const current = await findMac(this.#database.reader, name.table, primaryKeyOf(name))
    return current?.generation !== stored?.generation
  }
}

async function rowsAt(db: Handle, places: readonly RowPlace[]): Promise<FoundRow[]> {
  const rows: FoundRow[] = []
  for (const place of places) {
    const row = await findRowAt(db, place)
    if (row !== undefined) rows.push(row)
  }
  return rows
}

function isAllRows({ table, primaryKey }: RowPlace): boolean {
  return table === ALL_ROWS.table && primaryKey === ALL_ROWS.primaryKey
}
