/**
 * Who makes and verifies the MACs of stored records (formats/row-mac.ts): the store knows what a record is and cannot talk
 * to an HSM, so whoever opens it hands it one of these.
 */
import type { Anchor } from '../formats/row-ledger.ts'
import type { StoreRolledBack } from './faults.ts'

/** A record by what its MAC covers. */
export interface MacedRow {
  readonly table: string
  readonly primaryKey: string
  readonly generation: number
  readonly content: Buffer
}

export interface RowMac {
  /** Whose domain made it. */
  readonly region: string
  readonly macVersion: number
  readonly mac: Buffer
}

export interface RowSigner {
  /** MACs in the order of the rows, by the domain of the region, or by that of the home region where none is given. */
  sign(rows: readonly (MacedRow & { readonly region: string | undefined })[]): Promise<RowMac[]>
  /** Of each row, whether its MAC is good. */
  verify(rows: readonly (MacedRow & RowMac)[]): Promise<boolean[]>
}

/** What the tokens of a region remember of the store. */
export interface Anchors {
  /** Undefined where they remember nothing. Throws when none of them can be asked. */
  read(region: string): Promise<Anchor | undefined>
}

/** Where records carry MACs: who makes them, and who hears of a record that is refused. */
export interface RowProtection {
  readonly signer: RowSigner
  /** Without them, nothing outside the store says how old it may be. */
  readonly anchors?: Anchors
  /** Told of it at the first read or write, and at each one after it. */
  readonly onRolledBack?: (error: StoreRolledBack) => void
  /** Told of a refused record once for as long as it stays what it is. */
  readonly onRefused?: (row: { readonly table: string; readonly primaryKey: string; readonly reason: string }) => void
}
