/** What the store times of its transactions. */
import type { Metrics } from '../telemetry/metrics.ts'

const MS_PER_SECOND = 1_000
const OUTCOMES = ['committed', 'rolled-back'] as const

export class StoreMetrics {
  readonly #wait
  readonly #took

  constructor({ transactionWaitSeconds, transactionSeconds }: Metrics) {
    const [committed, rolledBack] = OUTCOMES
    const both = (of: typeof transactionSeconds) => ({
      committed: of.labels({ outcome: committed }),
      rolledBack: of.labels({ outcome: rolledBack }),
    })
    this.#wait = both(transactionWaitSeconds)
    this.#took = both(transactionSeconds)
  }

  /** Times on the monotonic clock; `begunAtMs` is undefined when the write lock was not to be had. */
  ended(committed: boolean, { askedAtMs, begunAtMs }: { askedAtMs: number; begunAtMs: number | undefined }): void {
    const outcome = committed ? 'committed' : 'rolledBack'
    const nowMs = performance.now()
    this.#wait[outcome].observe(((begunAtMs ?? nowMs) - askedAtMs) / MS_PER_SECOND)
    if (begunAtMs !== undefined) this.#took[outcome].observe((nowMs - begunAtMs) / MS_PER_SECOND)
  }
}
