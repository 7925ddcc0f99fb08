/** What is done with the MACs of all records: the first ones of a store, the look at every one, others under a new version. */
import { type Anchor, epochAnew } from '../formats/row-ledger.ts'
import type { Database } from './dialects/database.ts'
import type { DomainGate } from './domain-gate.ts'
import { StoreRolledBack } from './faults.ts'
import { Ledger } from './ledger.ts'
import { enterMac, type MacChange, writeMacs } from './mac-changes.ts'
import { ALL_ROWS, type RowGuard } from './row-guard.ts'
import { listRowNames, primaryKeyOf } from './sql/aggregates.ts'
import { findHead, putHead } from './sql/ledgers.ts'
import {
  type FoundRow,
  findMac,
  findRow,
  findRowsAt,
  listMacs,
  listMacsBelow,
  putMac,
  type StoredMac,
} from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'
import type { RegionAnchor, RowPlace, StoredRowMacs } from './store.ts'

/** Records of one command. */
const BATCH = 64

export class RowMacs implements StoredRowMacs {
  readonly #database: Database
  readonly #guard: RowGuard
  readonly #domains: DomainGate

  constructor(database: Database, guard: RowGuard, domains: DomainGate) {
    this.#database = database
    this.#guard = guard
    this.#domains = domains
  }

  async areComplete(): Promise<boolean> {
    return (await this.#guard.tablesToSign(this.#database.reader)).length === 0
  }

  /**
   * One transaction: no record changes between its MAC and the mark that says that all carry one. Those that carry one are
   * held against it, and keep it.
   */
  async complete(): Promise<number> {
    const { signed, heads } = await this.#database.writer.transaction().execute(async db => {
      const tables = await this.#guard.tablesToSign(db)
      if (tables.length === 0) return { signed: 0, heads: [] }
      const ledger = new Ledger(db)
      const former = await this.#guard.requireMark(db, ledger)
      let signed = 0
      for (const table of tables) {
        const names = await listRowNames(db, table)
        for (let at = 0; at < names.length; at += BATCH) {
          const rows: FoundRow[] = []
          for (const name of names.slice(at, at + BATCH)) rows.push(await findRow(db, name, ledger))
          const unsigned = rows.filter(({ stored }) => stored === undefined)
          for (const change of await this.#signed(unsigned)) await enterMac(db, ledger, change)
          signed += unsigned.length
          await this.#enterSigned(ledger, rows)
        }
      }
      const mark = await this.#guard.signComplete()
      // Whoever removes every MAC has made a store that looks as if none had ever been made.
      if (former === undefined) await this.#requireNeverSigned(mark.region)
      await replaceMark(db, ledger, former, mark)
      return { signed, heads: await ledger.write(heads => this.#guard.signHeads(ledger, heads)) }
    })
    this.#guard.committed(heads)
    return signed
  }

  async verify(after: RowPlace | undefined, limit: number): ReturnType<StoredRowMacs['verify']> {
    const horizon = this.#guard.horizon()
    const { places, rows } = await this.#read(db => listMacs(db, after, limit))
    const refusals = await this.#guard.refusals(rows, horizon, false)
    const refused = refusals.map(refusal => this.#guard.refuse(refusal))
    return { verified: places.length, last: places.length < limit ? undefined : places.at(-1), refused }
  }

  /** Verified before the write lock is taken: what has changed in between has been signed by that change. */
  async renew(region: string, version: number, limit: number): Promise<number> {
    const horizon = this.#guard.horizon()
    const { places, rows } = await this.#read(db => listMacsBelow(db, region, version, limit))
    const [refusal] = await this.#guard.refusals(rows, horizon, false)
    if (refusal !== undefined) throw this.#guard.refuse(refusal)
    const heads = await this.#database.writer.transaction().execute(async db => {
      const ledger = new Ledger(db)
      const unchanged: FoundRow[] = []
      for (const row of rows) {
        const current = await findRow(db, row.name, ledger)
        if (current.stored?.generation === row.stored?.generation && current.content.equals(row.content))
          unchanged.push(current)
      }
      for (const change of await this.#signed(unchanged)) await enterMac(db, ledger, change)
      const mark = places.some(isAllRows) ? await findMac(db, ALL_ROWS.table, ALL_ROWS.primaryKey) : undefined
      if (mark !== undefined) {
        const renewed = await this.#guard.signComplete(mark.generation)
        await replaceMark(db, ledger, mark, renewed)
      }
      return writeMacs(db, this.#guard, ledger, [])
    })
    this.#guard.committed(heads)
    return places.length
  }

  async requireDomain(region: string): Promise<void> {
    if (await this.#guard.isComplete(this.#database.reader)) await this.#domains.requireRegion(region)
  }

  async anchorOf(region: string): Promise<RegionAnchor | undefined> {
    const horizon = this.#guard.horizon()
    const head = await findHead(this.#database.reader, region)
    const [anchor] = await this.#guard.requireHeads([{ region, head }], horizon)
    return anchor
  }

  async beginAnew(region: string, beyond: Anchor): Promise<RegionAnchor> {
    const anew = await this.#database.writer.transaction().execute(async db => {
      const head = await findHead(db, region)
      const [anchor] = await this.#guard.requireHeads([{ region, head }], this.#guard.horizon())
      if (head === undefined || anchor === undefined) throw new StoreRolledBack(region, undefined, beyond.epoch)
      const next = { ...anchor, epoch: epochAnew(Math.max(anchor.epoch, beyond.epoch)) }
      const [signed] = await this.#guard.signAnchors([next])
      const { macVersion, mac } = signed!
      await putHead(db, region, { branches: head.branches, epoch: next.epoch, macVersion, mac })
      return next
    })
    this.#guard.committed([anew])
    return anew
  }

  newestAnchorOf(region: string): Anchor | undefined {
    return this.#guard.newestOf(region)
  }

  async #read(list: (db: Handle) => Promise<RowPlace[]>): Promise<{ places: RowPlace[]; rows: FoundRow[] }> {
    return this.#database.snapshots.transaction().execute(async db => {
      const places = await list(db)
      return { places, rows: await findRowsAt(db, places) }
    })
  }

  async #signed(rows: readonly FoundRow[]): Promise<MacChange[]> {
    const macs = rows.length === 0 ? [] : await this.#guard.sign(rows)
    return rows.map((row, at) => ({ row, mac: macs[at]! }))
  }

  /** Those that carry a MAC are held against it, and keep it; the ledger may not list them yet. */
  async #enterSigned(ledger: Ledger, rows: readonly FoundRow[]): Promise<void> {
    const carrying = rows.filter(({ stored }) => stored !== undefined)
    const [refusal] = await this.#guard.macRefusals(carrying)
    if (refusal !== undefined) throw this.#guard.refuse(refusal)
    for (const { name, stored } of carrying) {
      const named = { table: name.table, primaryKey: primaryKeyOf(name) }
      if (!ledger.lists(stored!.region, named, stored!.mac))
        await ledger.replace(stored!.region, named, undefined, stored!.mac)
    }
  }

  async #requireNeverSigned(region: string): Promise<void> {
    const anchor = await this.#guard.anchorOf(region)
    if (anchor !== undefined) throw new StoreRolledBack(region, undefined, anchor.epoch)
  }
}

async function replaceMark(db: Handle, ledger: Ledger, former: StoredMac | undefined, mark: StoredMac): Promise<void> {
  if (former !== undefined) await ledger.replace(former.region, ALL_ROWS, former.mac, undefined)
  await ledger.replace(mark.region, ALL_ROWS, undefined, mark.mac)
  await putMac(db, ALL_ROWS.table, ALL_ROWS.primaryKey, mark)
}

function isAllRows({ table, primaryKey }: RowPlace): boolean {
  return table === ALL_ROWS.table && primaryKey === ALL_ROWS.primaryKey
}
