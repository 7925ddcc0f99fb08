/**
 * Has the tokens remember how far the key store has come, now and then and at the end, so that an older copy of it is refused
 * at the next start (security.md 2.6). At first it makes sure that this one is not such a copy, and
 * that hosts were told of their domains from genuine rows.
 */
import type { PoolAnchors } from '../keyring/anchors.ts'
import { StoreRolledBack } from '../store/faults.ts'
import type { Store } from '../store/store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** How often it is looked whether something is due. */
export const ANCHOR_LOOK_MS = 1_000

export interface StoreAnchorsParts {
  readonly store: Pick<Store, 'rowMacs'>
  readonly anchors: Pick<PoolAnchors, 'write'>
  readonly regions: readonly { readonly region: string; readonly ready: boolean }[]
  readonly intervalMs: number
  readonly metrics: Metrics
  readonly logger: Logger
}

export class StoreAnchors {
  readonly #parts: StoreAnchorsParts
  /** Epochs that tokens were told, by region; a region is here once its ledger was compared with what they remember. */
  readonly #told = new Map<string, number>()
  /** When each region is due, on the monotonic clock. */
  readonly #dueAtMs = new Map<string, number>()
  #rolledBack: StoreRolledBack | undefined

  constructor(parts: StoreAnchorsParts) {
    this.#parts = parts
  }

  /** Why nothing can be served from the store yet. */
  get obstacles(): string[] {
    if (this.#rolledBack !== undefined) return [this.#rolledBack.message]
    const left = this.#parts.regions.filter(({ region }) => !this.#told.has(region))
    return left.map(({ region }) => `the key store was not compared yet with what the tokens of ${region} remember`)
  }

  /** Looks after the regions that are due. Throws StoreRolledBack once, RowRefused and KmsError. */
  async run(): Promise<void> {
    if (this.#rolledBack !== undefined) return
    for (const { region, ready } of this.#parts.regions)
      if (ready && performance.now() >= (this.#dueAtMs.get(region) ?? 0)) await this.#anchor(region)
  }

  /** Makes sure that every region was compared. Throws as `run` does. */
  async compare(): Promise<void> {
    if (this.#rolledBack !== undefined) throw this.#rolledBack
    for (const { region } of this.#parts.regions) if (!this.#told.has(region)) await this.#anchor(region)
  }

  /** The last time, while the tokens can still be asked. */
  async end(): Promise<void> {
    for (const { region, ready } of this.#parts.regions) if (ready && this.#told.has(region)) await this.#anchor(region)
  }

  async #anchor(region: string): Promise<void> {
    const { store, anchors, metrics, logger, intervalMs } = this.#parts
    try {
      await store.rowMacs.requireDomain(region)
      const anchor = await store.rowMacs.anchorOf(region)
      const epoch = anchor?.epoch ?? 0
      if (anchor !== undefined && epoch !== this.#told.get(region)) {
        const tokens = await anchors.write(region, anchor)
        if (tokens === 0) logger.warn('no token remembers how far the key store has come', { region, epoch })
        metrics.ledgerEpoch.set({ region }, epoch)
      }
      this.#told.set(region, epoch)
      this.#dueAtMs.set(region, performance.now() + intervalMs)
    } catch (error) {
      if (error instanceof StoreRolledBack) this.#rolledBack = error
      throw error
    }
  }
}
