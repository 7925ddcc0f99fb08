/**
 * Holds records against their MACs, against the ledger that lists them, and the ledger against what tokens and this process
 * remember of it: neither a record nor the whole store that is put back is taken for the present one (security.md 2.6).
 */
import { LRUCache } from 'lru-cache'
import { type Anchor, ledgerDigest } from '../formats/row-ledger.ts'
import { NoRowSigner, RowRefused, StoreRolledBack } from './faults.ts'
import { Ledger } from './ledger.ts'
import type { MacedRow, RowMac, RowProtection } from './row-signer.ts'
import {
  AGGREGATE_TABLES,
  type AggregateTable,
  primaryKeyOf,
  type RowName,
  regionOf,
  textOf,
} from './sql/aggregates.ts'
import { findHead, type LedgerHead } from './sql/ledgers.ts'
import { type FoundRow, findMac, NO_CONTENT, type StoredMac } from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'
import type { RegionAnchor } from './store.ts'

/** Records that are remembered as they were verified. */
const VERIFIED_MAX = 200_000
const REPORTED_MAX = 10_000
/** Stands for the whole store: from when its MAC is there, no record is without one. */
export const ALL_ROWS = { table: 'row_macs', primaryKey: 'all' } as const
/** Of that MAC, as it is made today; one of a lower generation covers fewer tables. */
const ALL_ROWS_GENERATION = 2
/** Tables whose records were signed by no store that was marked with this generation. */
const UNSIGNED_AT: ReadonlyMap<number, readonly AggregateTable[]> = new Map([[1, ['domains']]])
const HEADS_TABLE = 'ledger_heads'

export interface Refusal {
  /** The record that is refused, and by what: its own row, or what the ledger says of its region. */
  readonly record: string
  readonly table: string
  readonly primaryKey: string
  readonly reason: string
  /** What it was found to be, so that it is reported once. */
  readonly found: string
}

/** A head as it was read; undefined where there is none. */
export interface RegionHead {
  readonly region: string
  readonly head: LedgerHead | undefined
}

/** Epochs by region: a read that begins from here on sees them, or later ones. */
export type Horizon = ReadonlyMap<string, number>

export class RowGuard {
  readonly #protection: RowProtection | undefined
  readonly #reader: Handle
  readonly #snapshots: Handle
  /** The newest genuine heads that this process knows of. */
  readonly #newest = new Map<string, Anchor>()
  /** Whether the store is what the tokens of a region remember; absent before they were asked. */
  readonly #anchored = new Map<string, Promise<void>>()
  /** By the record's name, as text: buffers of 32 bytes would take several times as much memory. */
  readonly #verified = new LRUCache<string, string>({ max: VERIFIED_MAX })
  readonly #reported = new LRUCache<string, true>({ max: REPORTED_MAX })
  /** As it was found last: it is not looked for again once it is of the present generation. */
  #mark: StoredMac | undefined
  /** Whether it is genuine, where that is asked. */
  #formerMark: Promise<unknown> | undefined

  /** `reader` and `snapshots` see what is committed; the second runs transactions that only read. */
  constructor(protection: RowProtection | undefined, { reader, snapshots }: { reader: Handle; snapshots: Handle }) {
    this.#protection = protection
    this.#reader = reader
    this.#snapshots = snapshots
  }

  /** Whether somebody can make and verify MACs here. */
  get present(): boolean {
    return this.#protection !== undefined
  }

  /**
   * Whether every record of the store carries a MAC; one that does not is refused from then on. That the mark is good is not
   * asked as long as it is the present one: whoever forges it has records refused.
   */
  async isComplete(db: Handle): Promise<boolean> {
    if (this.#mark?.generation !== ALL_ROWS_GENERATION)
      this.#mark = (await findMac(db, ALL_ROWS.table, ALL_ROWS.primaryKey)) ?? this.#mark
    return this.#mark !== undefined
  }

  /** The tables whose records are still to be signed for the first time: all of them in a store that has no MACs. */
  async tablesToSign(db: Handle): Promise<readonly AggregateTable[]> {
    return (await this.isComplete(db)) ? this.#unsignedTables() : AGGREGATE_TABLES
  }

  /** The mark of a store that was signed before; undefined where none was. Throws RowRefused and StoreRolledBack. */
  async requireMark(db: Handle, ledger: Ledger): Promise<StoredMac | undefined> {
    const mark = await findMac(db, ALL_ROWS.table, ALL_ROWS.primaryKey)
    if (mark === undefined) return undefined
    const { region } = mark
    await ledger.load(region, ALL_ROWS)
    await this.requireHeads([{ region, head: ledger.headOf(region) }], this.horizon())
    const [good] = (await this.#protection?.signer.verify([{ ...ALL_ROWS, ...mark, content: NO_CONTENT }])) ?? []
    const refuse = (reason: string) =>
      this.refuse({ ...ALL_ROWS, record: ALL_ROWS.primaryKey, reason, found: mark.mac.toString('hex') })
    if (good !== true) throw refuse(BAD_MAC)
    if (!ledger.isSound(region, ALL_ROWS)) throw refuse(BAD_LEDGER)
    if (!ledger.lists(region, ALL_ROWS, mark.mac)) throw refuse(OLD)
    return mark
  }

  /** To be taken before the read that is then held against it. */
  horizon(): Horizon {
    return new Map([...this.#newest].map(([region, { epoch }]) => [region, epoch]))
  }

  /** The MAC that says that all records carry one; `generation` is that of the one whose place it takes. */
  async signComplete(generation = ALL_ROWS_GENERATION): Promise<StoredMac> {
    const [mac] = await this.#sign([{ ...ALL_ROWS, generation, content: NO_CONTENT, region: undefined }])
    return mac!
  }

  /** MACs for what the records hold from now on, one generation on. */
  sign(rows: readonly FoundRow[]): Promise<StoredMac[]> {
    return this.#sign(
      rows.map(({ name, content, stored }) => ({
        ...{ table: name.table, primaryKey: primaryKeyOf(name), content, region: this.#signerOf(name) },
        // One that was forgotten and is made again is newer than it ever was.
        generation: stored === undefined ? Date.now() : stored.generation + 1,
      })),
    )
  }

  /**
   * MACs for the heads that follow those which the ledger was read under. Throws RowRefused and StoreRolledBack when one of
   * those is not the present one, so that nothing is built upon it.
   */
  async signHeads(ledger: Ledger, next: readonly RegionAnchor[]): Promise<StoredMac[]> {
    const heads = next.map(({ region }) => ({ region, head: ledger.headOf(region) }))
    await this.requireHeads(heads, this.horizon())
    return this.signAnchors(next)
  }

  /** MACs for heads of these epochs and digests. */
  signAnchors(next: readonly RegionAnchor[]): Promise<StoredMac[]> {
    return this.#sign(next.map(({ region, ...anchor }) => ({ ...maced(region, anchor), region })))
  }

  /**
   * Those of the records that are not what somebody has signed, and signed last. What has been verified before, to the last
   * byte, needs no token. A look at all records does not `remember` them: those that are in use would have to give way.
   * Throws StoreRolledBack.
   */
  async refusals(rows: readonly FoundRow[], horizon: Horizon, remember = true): Promise<Refusal[]> {
    const heads = rows.flatMap(({ stored, ledger }) =>
      stored === undefined ? [] : { region: stored.region, head: ledger.headOf(stored.region) },
    )
    if (this.#protection === undefined) return []
    const [unsigned, badHeads] = await Promise.all([this.macRefusals(rows, remember), this.#badHeads(heads, horizon)])
    const refused = new Set(unsigned.map(({ record }) => record))
    const unlisted = rows.flatMap(row => {
      const { stored, ledger } = row
      if (stored === undefined || refused.has(textOf(row.name))) return []
      const head = badHeads.get(stored.region)
      if (head !== undefined) return { ...head, record: textOf(row.name) }
      if (!ledger.isSound(stored.region, named(row))) return refusalOf(row, BAD_LEDGER)
      return ledger.lists(stored.region, named(row), stored.mac) ? [] : refusalOf(row, OLD)
    })
    return [...unsigned, ...unlisted]
  }

  /** The same of the MACs alone, whether the ledger lists them or not. */
  async macRefusals(rows: readonly FoundRow[], remember = true): Promise<Refusal[]> {
    if (this.#protection === undefined) return []
    const refused: Refusal[] = []
    const unsigned: FoundRow[] = []
    const asked: { row: FoundRow; stored: StoredMac }[] = []
    for (const row of rows) {
      const { stored, content } = row
      if (stored !== undefined) {
        if (!this.#isKnown(row, stored)) asked.push({ row, stored })
      }
      // Of a record that never was nobody has signed that it is not there.
      else if (!content.equals(NO_CONTENT)) unsigned.push(row)
    }
    refused.push(...(await this.#unsignedRefusals(unsigned)))
    if (asked.length === 0) return refused
    const verdicts = await this.#protection.signer.verify(
      asked.map(({ row, stored }) => ({ ...named(row), ...stored, content: row.content })),
    )
    asked.forEach(({ row, stored }, at) => {
      if (verdicts[at] !== true) refused.push(refusalOf(row, BAD_MAC))
      else if (remember) this.#verified.set(textOf(row.name), verified(row, stored))
    })
    return refused
  }

  /**
   * The anchors of these heads, which were read after the horizon was taken. Throws RowRefused and StoreRolledBack unless
   * they are the present ones.
   */
  async requireHeads(heads: readonly RegionHead[], horizon: Horizon): Promise<RegionAnchor[]> {
    const [refusal] = (await this.#badHeads(heads, horizon)).values()
    if (refusal !== undefined) throw this.refuse(refusal)
    return heads.flatMap(({ region, head }) => (head === undefined ? [] : { region, ...anchorOfHead(head) }))
  }

  /** After these heads have been committed. */
  committed(heads: readonly RegionAnchor[]): void {
    for (const { region, epoch, digest } of heads) this.#remember(region, { epoch, digest })
  }

  /** The newest head of a region that this process knows to be genuine. */
  newestOf(region: string): Anchor | undefined {
    return this.#newest.get(region)
  }

  /** What the tokens of a region remember; undefined where they remember nothing, and where nobody can ask them. */
  async anchorOf(region: string): Promise<Anchor | undefined> {
    return this.#protection?.anchors?.read(region)
  }

  /** Reports a refused record, once, and makes the error of it. */
  refuse({ table, primaryKey, reason, found }: Refusal): RowRefused {
    const state = `${table} ${primaryKey} ${found} ${reason}`
    if (!this.#reported.has(state)) {
      this.#reported.set(state, true)
      this.#protection?.onRefused?.({ table, primaryKey, reason })
    }
    return new RowRefused(table, primaryKey, reason)
  }

  /** By region. One that is not there is not bad: what it should list is then not listed. */
  async #badHeads(heads: readonly RegionHead[], horizon: Horizon): Promise<Map<string, Refusal>> {
    const refused = new Map<string, Refusal>()
    for (const [region, head] of new Map(heads.map(each => [each.region, each.head]))) {
      await this.#requireAnchored(region)
      const anchor = head && anchorOfHead(head)
      const newest = this.#newest.get(region)
      if (anchor !== undefined && newest?.epoch === anchor.epoch && newest.digest.equals(anchor.digest)) continue
      const expected = horizon.get(region) ?? 0
      if ((anchor?.epoch ?? 0) < expected) throw this.#rolledBack(region, anchor?.epoch, expected)
      if (head === undefined || anchor === undefined) continue
      const refusal = await this.#headRefusal(region, head, anchor)
      if (refusal === undefined) this.#remember(region, anchor)
      else refused.set(region, refusal)
    }
    return refused
  }

  /** Nobody is believed that a store is of an older version, which signed less, but its mark as it was signed last. */
  async #unsignedRefusals(rows: readonly FoundRow[]): Promise<Refusal[]> {
    const tables = this.#unsignedTables()
    if (rows.some(({ name }) => tables.includes(name.table))) await this.#requireFormerMark()
    return rows.filter(({ name }) => !tables.includes(name.table)).map(row => refusalOf(row, NO_MAC))
  }

  #requireFormerMark(): Promise<unknown> {
    this.#formerMark ??= this.#snapshots.transaction().execute(db => this.requireMark(db, new Ledger(db)))
    this.#formerMark.catch(() => {
      this.#formerMark = undefined
    })
    return this.#formerMark
  }

  /** Of a store that an older version has signed. */
  #unsignedTables(): readonly AggregateTable[] {
    return UNSIGNED_AT.get(this.#mark?.generation ?? ALL_ROWS_GENERATION) ?? []
  }

  /** The row of a domain by whom the store was signed: the region that stands first today may have no domain yet. */
  #signerOf(name: RowName): string | undefined {
    return name.table === 'domains' ? this.#mark?.region : regionOf(name)
  }

  async #headRefusal(region: string, head: LedgerHead, anchor: Anchor): Promise<Refusal | undefined> {
    const { macVersion, mac } = head
    const [good] =
      (await this.#protection?.signer.verify([{ ...maced(region, anchor), region, macVersion, mac }])) ?? []
    if (good === true) return undefined
    return { record: region, table: HEADS_TABLE, primaryKey: region, reason: BAD_MAC, found: mac.toString('hex') }
  }

  /** Asks the tokens of a region once. The head is read after them: the anchor may have moved on with it until then. */
  #requireAnchored(region: string): Promise<void> {
    const known = this.#anchored.get(region)
    if (known !== undefined) return known
    const asked = this.#compareWithAnchor(region)
    this.#anchored.set(region, asked)
    asked.catch(error => {
      if (!(error instanceof StoreRolledBack)) this.#anchored.delete(region)
    })
    return asked
  }

  async #compareWithAnchor(region: string): Promise<void> {
    const anchor = await this.anchorOf(region)
    if (anchor === undefined) return
    const head = await findHead(this.#reader, region)
    const found = head && anchorOfHead(head)
    const behind = (found?.epoch ?? 0) < anchor.epoch
    const another = found?.epoch === anchor.epoch && !found.digest.equals(anchor.digest)
    if (behind || another) throw this.#rolledBack(region, found?.epoch, anchor.epoch)
  }

  #rolledBack(region: string, found: number | undefined, expected: number): StoreRolledBack {
    const error = new StoreRolledBack(region, found, expected)
    this.#protection?.onRolledBack?.(error)
    return error
  }

  #isKnown(row: FoundRow, stored: StoredMac): boolean {
    return this.#verified.get(textOf(row.name)) === verified(row, stored)
  }

  #remember(region: string, anchor: Anchor): void {
    if (anchor.epoch >= (this.#newest.get(region)?.epoch ?? 0)) this.#newest.set(region, anchor)
  }

  async #sign(rows: readonly (MacedRow & { readonly region: string | undefined })[]): Promise<StoredMac[]> {
    if (this.#protection === undefined)
      throw new NoRowSigner('records of this store carry MACs, which only a process that reaches the HSMs can make')
    const macs: RowMac[] = await this.#protection.signer.sign(rows)
    return macs.map((mac, at) => ({ ...mac, generation: rows[at]!.generation }))
  }
}

/** What was verified of a record: its digest, generation and MAC, none of which is secret. */
function verified({ content }: FoundRow, { generation, mac }: StoredMac): string {
  return `${generation} ${content.toString('latin1')}${mac.toString('latin1')}`
}

const NO_MAC = 'it has no MAC'
const BAD_MAC = 'its MAC does not match it'
const BAD_LEDGER = 'the ledger was changed where it stands'
const OLD = 'it is not the one that was written last'

function named({ name }: FoundRow): { table: string; primaryKey: string } {
  return { table: name.table, primaryKey: primaryKeyOf(name) }
}

function refusalOf(row: FoundRow, reason: string): Refusal {
  const found = `${row.content.toString('hex')} ${row.stored?.mac.toString('hex') ?? ''}`
  return { record: textOf(row.name), ...named(row), reason, found }
}

function anchorOfHead({ epoch, branches }: LedgerHead): Anchor {
  return { epoch, digest: ledgerDigest(branches) }
}

/** A head as it is signed. */
function maced(region: string, { epoch, digest }: Anchor): MacedRow {
  return { table: HEADS_TABLE, primaryKey: region, generation: epoch, content: digest }
}
