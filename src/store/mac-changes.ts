/** Other MACs in the place of those that were found, in their table and in the ledger: one step that ends every change. */
import type { Ledger } from './ledger.ts'
import type { RowGuard } from './row-guard.ts'
import { primaryKeyOf } from './sql/aggregates.ts'
import { deleteMac, type FoundRow, putMac, type StoredMac } from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'
import type { RegionAnchor } from './stored-row-macs.ts'

/** A record with the MAC that it carries from now on; undefined for one of which none is kept. */
export interface MacChange {
  readonly row: Pick<FoundRow, 'name' | 'stored'>
  readonly mac: StoredMac | undefined
}

/** Returns the heads that stand once the transaction is committed. Throws RowRefused, StoreRolledBack and NoRowSigner. */
export async function writeMacs(
  db: Handle,
  guard: RowGuard,
  ledger: Ledger,
  changes: readonly MacChange[],
): Promise<readonly RegionAnchor[]> {
  for (const change of changes) await enterMac(db, ledger, change)
  return ledger.write(heads => guard.signHeads(ledger, heads))
}

/** Without the heads, which are written once, at the end. */
export async function enterMac(db: Handle, ledger: Ledger, { row: { name, stored }, mac }: MacChange): Promise<void> {
  const named = { table: name.table, primaryKey: primaryKeyOf(name) }
  if (stored?.region === mac?.region) {
    if (stored !== undefined) await ledger.replace(stored.region, named, stored.mac, mac?.mac)
  } else {
    if (stored !== undefined) await ledger.replace(stored.region, named, stored.mac, undefined)
    if (mac !== undefined) await ledger.replace(mac.region, named, undefined, mac.mac)
  }
  if (mac === undefined) await deleteMac(db, named.table, named.primaryKey)
  else await putMac(db, named.table, named.primaryKey, mac)
}
