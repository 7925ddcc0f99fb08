/**
 * A counter for what every request tells: a tally is looked up once, kept by whoever counts, and added to prom-client's
 * counter when somebody reads that.
 */
import { Counter, type Registry } from 'prom-client'

/** One set of labels. */
export class Tally {
  #pending = 0

  add(): void {
    this.#pending += 1
  }

  /** What has been added since the last time. */
  take(): number {
    const pending = this.#pending
    this.#pending = 0
    return pending
  }
}

export class TallyCounter<L extends string> {
  readonly #counter: Counter<L>
  readonly #tallies: { readonly labels: Readonly<Record<L, string>>; readonly tally: Tally }[] = []

  constructor(options: { name: string; help: string; labelNames: readonly L[]; registers: Registry[] }) {
    this.#counter = new Counter({ ...options, collect: () => this.#collect() })
  }

  /** Another tally of these labels: to be kept where it is counted often. */
  labels(labels: Readonly<Record<L, string>>): Tally {
    const tally = new Tally()
    this.#tallies.push({ labels: { ...labels }, tally })
    return tally
  }

  /** For what happens seldom. */
  inc(labels: Readonly<Record<L, string>>): void {
    this.#counter.inc({ ...labels } as Record<L, string>)
  }

  #collect(): void {
    for (const { labels, tally } of this.#tallies) this.#counter.inc({ ...labels } as Record<L, string>, tally.take())
  }
}
