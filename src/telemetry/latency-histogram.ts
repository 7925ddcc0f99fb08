/**
 * A histogram for what every request tells: its series are looked up once and kept by whoever observes. prom-client finds a
 * series anew by the text of its labels at each observation, which takes longer than to count it. In a registry it stands
 * like prom-client's own.
 */
import type { MetricObjectWithValues, MetricValueWithName } from 'prom-client'

/** From a tenth of a millisecond, which SoftHSM needs, to the longest deadline. */
export const LATENCY_BUCKETS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const

/** One set of labels. */
export class LatencySeries {
  /** Observations by bucket, each counted in the first that it fits; the last place is for those that fit none. */
  readonly counts = new Float64Array(LATENCY_BUCKETS_SECONDS.length + 1)
  sumSeconds = 0

  observe(seconds: number): void {
    let place = 0
    while (seconds > (LATENCY_BUCKETS_SECONDS[place] as number)) place += 1
    this.counts[place] = (this.counts[place] as number) + 1
    this.sumSeconds += seconds
  }
}

export class LatencyHistogram<L extends string> {
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly name: string
  readonly help: string
  readonly labelNames: readonly L[]
  readonly #series = new Map<string, { readonly labels: Readonly<Record<L, string>>; readonly series: LatencySeries }>()

  constructor(name: string, help: string, labelNames: readonly L[]) {
    this.name = name
    this.help = help
    this.labelNames = labelNames
  }

  /** The series of these labels: to be kept where it is observed often. */
  labels(labels: Readonly<Record<L, string>>): LatencySeries {
    const key = this.labelNames.map(name => labels[name]).join('\n')
    const held = this.#series.get(key)
    if (held !== undefined) return held.series
    const series = new LatencySeries()
    this.#series.set(key, { labels: { ...labels }, series })
    return series
  }

  /** For what happens seldom. */
  observe(labels: Readonly<Record<L, string>>, seconds: number): void {
    this.labels(labels).observe(seconds)
  }

  /** All series as prom-client's registry asks for them. */
  async get(): Promise<Omit<MetricObjectWithValues<MetricValueWithName<L | 'le'>>, 'collect'>> {
    const { name, help, aggregator } = this
    const values = [...this.#series.values()].flatMap(({ labels, series }) => this.#valuesOf(labels, series))
    return { name, help, aggregator, type: this.type as never, values }
  }

  reset(): void {
    this.#series.clear()
  }

  #valuesOf(labels: Readonly<Record<L, string>>, { counts, sumSeconds }: LatencySeries) {
    let count = 0
    const buckets = Array.from(counts, (inBucket, place) => {
      count += inBucket
      const le = LATENCY_BUCKETS_SECONDS[place] ?? '+Inf'
      return { metricName: `${this.name}_bucket`, labels: { ...labels, le }, value: count }
    })
    return [
      ...buckets,
      { metricName: `${this.name}_sum`, labels, value: sumSeconds },
      { metricName: `${this.name}_count`, labels, value: count },
    ] as MetricValueWithName<L | 'le'>[]
  }
}
