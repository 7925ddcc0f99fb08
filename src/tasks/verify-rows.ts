/**
 * Looks at the MAC of every stored record, slowly and again and again: a record that was changed by hand is reported even if
 * nobody asks for it (security.md 2.6).
 */
import type { Store } from '../store/store.ts'
import type { RowPlace } from '../store/stored-row-macs.ts'
import type { Metrics } from '../telemetry/metrics.ts'

export const ROW_LOOK_MS = 1_000

/** Records of one look: a million are looked at in a day. */
const BATCH = 16

export class RowSweep {
  readonly #store: Pick<Store, 'rowMacs'>
  readonly #metrics: Metrics
  readonly #ready: () => boolean
  #after: RowPlace | undefined

  /** `ready` says whether the HSMs can be asked. */
  constructor(parts: { store: Pick<Store, 'rowMacs'>; metrics: Metrics; ready: () => boolean }) {
    this.#store = parts.store
    this.#metrics = parts.metrics
    this.#ready = parts.ready
  }

  /** Verifies the next batch, the first again after the last. Throws KmsError when no HSM can tell. */
  async run(): Promise<void> {
    if (!this.#ready()) return
    const { last, verified } = await this.#store.rowMacs.verify(this.#after, BATCH)
    this.#after = last
    this.#metrics.rowsVerified.inc(verified)
  }
}
