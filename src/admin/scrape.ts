/** Brings what is only known when somebody asks into the metrics: the figures of pools, store and connections. */
import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, type Registry } from 'prom-client'
import type { HsmPool } from '../hsm/pool/pool.ts'
import type { Store } from '../store/store.ts'
import type { Metrics } from '../telemetry/metrics.ts'

const MS_PER_SECOND = 1_000

/** All metrics of a process. */
export type MetricValues = readonly MetricObjectWithValues<MetricValue<string>>[]

export interface ScrapeParts {
  readonly metrics: Metrics
  readonly pools: ReadonlyMap<string, HsmPool>
  readonly store: Store
  /** Connections to the KMS API that are open. */
  readonly connections: () => Promise<number>
  /** The other processes of the daemon, when there are any. */
  readonly others?: OthersMetrics | undefined
}

/** What other processes of the daemon have to say. */
export interface OthersMetrics {
  /** Times that one of them was started anew. */
  readonly restarts: number
  /** Of those that answer. */
  metrics(): Promise<readonly MetricValues[]>
}

export class Scrape {
  readonly #parts: ScrapeParts
  /** What the counters of hot reads stood at when they were last told. */
  #told = { reads: 0, hits: 0 }
  #restartsTold = 0

  constructor(parts: ScrapeParts) {
    this.#parts = parts
  }

  /** All metrics as they are now, in Prometheus' text format: those of all processes together. */
  async read(): Promise<string> {
    const { metrics, others } = this.#parts
    if (others !== undefined) return together([await this.values(), ...(await others.metrics())]).metrics()
    await this.#report()
    return metrics.registry.metrics()
  }

  /** Those of this process as values, for another to add to its own. */
  async values(): Promise<MetricValues> {
    await this.#report()
    return this.#parts.metrics.registry.getMetricsAsJSON()
  }

  async #report(): Promise<void> {
    const { metrics, pools, connections, others } = this.#parts
    for (const pool of pools.values()) pool.report()
    await this.#reportStore()
    metrics.connections.set(await connections())
    metrics.serviceProcesses.set(others === undefined ? 1 : 0)
    const { restarts } = others ?? { restarts: 0 }
    metrics.serviceRestarts.inc(restarts - this.#restartsTold)
    this.#restartsTold = restarts
  }

  async #reportStore(): Promise<void> {
    const { metrics, store } = this.#parts
    const { databaseReads: reads, hits, size } = store.hot
    metrics.storeReads.inc(reads - this.#told.reads)
    metrics.storeHits.inc(hits - this.#told.hits)
    this.#told = { reads, hits }
    metrics.storeCached.set(size)
    metrics.storeViewAge.set(store.view.ageMs / MS_PER_SECOND)
    const { database, wal } = await store.sizes()
    metrics.storeBytes.set({ file: 'database' }, database)
    metrics.storeBytes.set({ file: 'wal' }, wal)
  }
}

/** Each as its declaration says: most are added up. */
function together(processes: readonly MetricValues[]): Registry {
  return AggregatorRegistry.aggregate(processes.map(each => [...each]))
}
