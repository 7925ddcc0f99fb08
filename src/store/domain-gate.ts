/**
 * Before the first use of what a domain has signed: whether its own row is genuine (security.md 2.6). Hosts are told of a domain
 * from that row, since nobody else can say whether it is what was signed; until they have said so, nothing that its keys vouch
 * for is believed.
 */
import { MULTI_REGION_DOMAIN } from '../base/region.ts'
import type { RowGuard } from './row-guard.ts'
import { rowName } from './sql/aggregates.ts'
import { type FoundRow, findRows } from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'

export class DomainGate {
  readonly #guard: RowGuard
  /** Runs transactions that only read. */
  readonly #snapshots: Handle
  /** By region; what was found genuine once is watched by those who follow the row. */
  readonly #verified = new Map<string, Promise<void>>()

  constructor(guard: RowGuard, snapshots: Handle) {
    this.#guard = guard
    this.#snapshots = snapshots
  }

  /** Of the domains that have signed these records. Throws RowRefused, StoreRolledBack, and what the signer throws. */
  async require(rows: readonly FoundRow[]): Promise<void> {
    const regions = new Set(rows.flatMap(({ stored }) => stored?.region ?? []))
    for (const region of regions) await this.requireRegion(region)
  }

  /** The domain of a region, and the one that regions share. Throws as `require` does. */
  requireRegion(region: string): Promise<void> {
    const known = this.#verified.get(region)
    if (known !== undefined) return known
    const asked = this.#verify(region)
    this.#verified.set(region, asked)
    asked.catch(() => this.#verified.delete(region))
    return asked
  }

  async #verify(region: string): Promise<void> {
    const horizon = this.#guard.horizon()
    const names = [rowName('domains', region), rowName('domains', MULTI_REGION_DOMAIN)]
    const rows = await this.#snapshots.transaction().execute(db => findRows(db, names))
    const [refusal] = await this.#guard.refusals(rows, horizon)
    if (refusal !== undefined) throw this.#guard.refuse(refusal)
  }
}
