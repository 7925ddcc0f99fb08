/** Brings what is only known when somebody asks into the metrics: the figures of pools, store and connections. */
import type { HsmPool } from '../hsm/pool/pool.ts'
import type { Store } from '../store/store.ts'
import type { Metrics } from '../telemetry/metrics.ts'

export interface ScrapeParts {
  readonly metrics: Metrics
  readonly pools: ReadonlyMap<string, HsmPool>
  readonly store: Store
  /** Connections to the KMS API that are open. */
  readonly connections: () => Promise<number>
}

export class Scrape {
  readonly #parts: ScrapeParts
  /** What the counters of hot reads stood at when they were last told. */
  #told = { reads: 0, hits: 0 }

  constructor(parts: ScrapeParts) {
    this.#parts = parts
  }

  /** All metrics as they are now, in Prometheus' text format. */
  async read(): Promise<string> {
    const { metrics, pools, connections } = this.#parts
    for (const pool of pools.values()) pool.report()
    await this.#reportStore()
    metrics.connections.set(await connections())
    return metrics.registry.metrics()
  }

  async #reportStore(): Promise<void> {
    const { metrics, store } = this.#parts
    const { databaseReads: reads, hits, size } = store.hot
    metrics.storeReads.inc(reads - this.#told.reads)
    metrics.storeHits.inc(hits - this.#told.hits)
    this.#told = { reads, hits }
    metrics.storeCached.set(size)
    const { database, wal } = await store.sizes()
    metrics.storeBytes.set({ file: 'database' }, database)
    metrics.storeBytes.set({ file: 'wal' }, wal)
  }
}
