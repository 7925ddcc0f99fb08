/** The MACs of stored records, and the ledger over them, as everybody else sees them. */
import type { Anchor } from '../formats/row-ledger.ts'

/** How far a region's ledger has come (formats/row-ledger.ts). */
export interface RegionAnchor extends Anchor {
  readonly region: string
}

/** The head of a ledger as a copy of the store holds it: signed as a record of the table `ledger_heads`. */
export interface CopiedHead extends RegionAnchor {
  readonly macVersion: number
  readonly mac: Buffer
}

/** The place of a record among all that carry MACs. */
export interface RowPlace {
  readonly table: string
  readonly primaryKey: string
}

/** The MACs of the records that decide who may do what, or which key is meant (security.md 2.6). */
export interface StoredRowMacs {
  /** Whether every such record carries one, of the tables that carry MACs today. One that does not is refused from then on. */
  areComplete(): Promise<boolean>
  /**
   * Gives every record of a store that has none a MAC, as it is: for once. In a store that an older version has signed it does
   * so with the tables that carried none then. Returns how many there are. Throws StoreRolledBack when a token remembers that
   * the store had MACs.
   */
  complete(): Promise<number>
  /**
   * Verifies the next records; `after` is the last of the batch before, and `last` undefined when it was the end. Each that is
   * refused is reported as at any read.
   */
  verify(
    after: RowPlace | undefined,
    limit: number,
  ): Promise<{ verified: number; last: RowPlace | undefined; refused: RowPlace[] }>
  /**
   * Of the MACs that a region's domain made under versions below this one, makes the next anew, once they are
   * verified, under the newest version. Returns how many, 0 when none is left. Throws RowRefused.
   */
  renew(region: string, version: number, limit: number): Promise<number>
  /**
   * Makes sure that the rows that hosts of a region were told of its domains from are genuine; the first use of a record that
   * the domain has signed waits for the same. Throws RowRefused and StoreRolledBack.
   */
  requireDomain(region: string): Promise<void>
  /**
   * How far a region's ledger has come; undefined before its first record. Throws RowRefused and StoreRolledBack when it is
   * not what was written last.
   */
  anchorOf(region: string): Promise<RegionAnchor | undefined>
  /** The newest one that this process has verified or made, without a read. */
  newestAnchorOf(region: string): Anchor | undefined
  /**
   * Signs the ledger of a region anew, at an epoch beyond all that this store, or `beyond`, can ever have come to: an operator
   * takes an older store for the present one. Throws RowRefused when its head is not genuine.
   */
  beginAnew(region: string, beyond: Anchor): Promise<RegionAnchor>
}
