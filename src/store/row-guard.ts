/**
 * Holds records against their MACs. Of each record it remembers the newest generation that it has seen: an older one that
 * is put back is refused, however good its MAC is, for as long as this process lives.
 */
import { LRUCache } from 'lru-cache'
import { NoRowSigner, RowRefused } from './faults.ts'
import type { MacedRow, RowProtection } from './row-signer.ts'
import { primaryKeyOf, regionOf, textOf } from './sql/aggregates.ts'
import { type FoundRow, findMac, NO_CONTENT, type StoredMac } from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'

/** Generations remembered, of as many records. */
const SEEN_MAX = 200_000
const REPORTED_MAX = 10_000
/** Stands for the whole store: from when its MAC is there, no record is without one. */
export const ALL_ROWS = { table: 'row_macs', primaryKey: 'all' } as const

export interface Refusal {
  readonly row: FoundRow
  readonly reason: string
  /** A change of this process came between the read and the look: reading again settles it. */
  readonly mayBeOld: boolean
}

/** The newest generation of a record, and as it was verified; nothing of it while it is this process that has written it. */
interface Seen {
  readonly generation: number
  readonly verified?: { readonly content: Buffer; readonly mac: Buffer }
}

export class RowGuard {
  readonly #protection: RowProtection | undefined
  readonly #seen = new LRUCache<string, Seen>({ max: SEEN_MAX })
  readonly #reported = new LRUCache<string, true>({ max: REPORTED_MAX })
  #complete = false

  constructor(protection: RowProtection | undefined) {
    this.#protection = protection
  }

  /** Whether somebody can make and verify MACs here. */
  get present(): boolean {
    return this.#protection !== undefined
  }

  /**
   * Whether every record of the store carries a MAC; one that does not is refused from then on. That the mark is good is not
   * asked: whoever forges it has records refused.
   */
  async isComplete(db: Handle): Promise<boolean> {
    this.#complete ||= (await findMac(db, ALL_ROWS.table, ALL_ROWS.primaryKey)) !== undefined
    return this.#complete
  }

  /** The MAC that says that all records carry one. */
  signComplete(): Promise<StoredMac> {
    return this.#sign([{ ...ALL_ROWS, generation: 1, content: NO_CONTENT, region: undefined }]).then(([mac]) => mac!)
  }

  /** MACs for what the records hold from now on, one generation on. */
  sign(rows: readonly FoundRow[]): Promise<StoredMac[]> {
    return this.#sign(
      rows.map(({ name, content, stored }) => ({
        ...{ table: name.table, primaryKey: primaryKeyOf(name), content, region: regionOf(name) },
        // One that was forgotten and is made again is newer than it ever was.
        generation: stored === undefined ? Date.now() : stored.generation + 1,
      })),
    )
  }

  /** Those of the records that are not what somebody has signed. What has been verified before, to the last byte, is good. */
  async refusals(rows: readonly FoundRow[]): Promise<Refusal[]> {
    if (this.#protection === undefined) return []
    const refused: Refusal[] = []
    const signed: { row: FoundRow; stored: StoredMac }[] = []
    for (const row of rows) {
      const { stored, content } = row
      if (stored !== undefined && this.#isKnown(row, stored)) continue
      else if (stored !== undefined) signed.push({ row, stored })
      // Of a record that never was nobody has signed that it is not there.
      else if (!content.equals(NO_CONTENT)) refused.push({ row, reason: NO_MAC, mayBeOld: false })
    }
    if (signed.length === 0) return refused
    const verdicts = await this.#protection.signer.verify(
      signed.map(({ row, stored }) => ({ ...maced(row), ...stored })),
    )
    signed.forEach(({ row, stored }, at) => {
      const newest = this.#seen.get(textOf(row.name))?.generation ?? 0
      if (verdicts[at] !== true) refused.push({ row, reason: BAD_MAC, mayBeOld: false })
      else if (stored.generation < newest) refused.push({ row, reason: OLD, mayBeOld: true })
      else
        this.#seen.set(textOf(row.name), {
          generation: stored.generation,
          verified: { content: row.content, mac: stored.mac },
        })
    })
    return refused
  }

  /** After these generations have been committed. */
  committed(macs: readonly { readonly row: FoundRow; readonly mac: StoredMac }[]): void {
    for (const { row, mac } of macs) this.#seen.set(textOf(row.name), { generation: mac.generation })
  }

  /** Reports a refused record, once, and makes the error of it. */
  refuse({ row, reason }: Refusal): RowRefused {
    const { table } = row.name
    const primaryKey = primaryKeyOf(row.name)
    const state = `${textOf(row.name)} ${row.content.toString('hex')} ${row.stored?.mac.toString('hex') ?? ''} ${reason}`
    if (!this.#reported.has(state)) {
      this.#reported.set(state, true)
      this.#protection?.onRefused?.({ table, primaryKey, reason })
    }
    return new RowRefused(table, primaryKey, reason)
  }

  #isKnown({ name, content }: FoundRow, stored: StoredMac): boolean {
    const seen = this.#seen.get(textOf(name))
    if (seen?.verified === undefined || seen.generation !== stored.generation) return false
    return seen.verified.content.equals(content) && seen.verified.mac.equals(stored.mac)
  }

  async #sign(rows: readonly (MacedRow & { readonly region: string | undefined })[]): Promise<StoredMac[]> {
    if (this.#protection === undefined)
      throw new NoRowSigner('records of this store carry MACs, which only a process that reaches the HSMs can make')
    const macs = await this.#protection.signer.sign(rows)
    return macs.map((mac, at) => ({ ...mac, generation: rows[at]!.generation }))
  }
}

const NO_MAC = 'it has no MAC'
const BAD_MAC = 'its MAC does not match it'
const OLD = 'a newer generation of it was there before'

function maced(row: FoundRow): Omit<MacedRow, 'generation'> {
  return { table: row.name.table, primaryKey: primaryKeyOf(row.name), content: row.content }
}
