/** How long the newest commands of a token took, for an operator's eye: exact, of few, where histograms are coarse, of all. */

const KEPT = 512

export interface LatencySummary {
  /** Milliseconds in the host, of the newest commands; null before the first. */
  readonly p50Ms: number | null
  readonly p99Ms: number | null
}

export class Latencies {
  readonly #kept = new Float64Array(KEPT)
  #count = 0

  add(ms: number): void {
    this.#kept[this.#count % KEPT] = ms
    this.#count += 1
  }

  summary(): LatencySummary {
    const kept = this.#kept.slice(0, Math.min(this.#count, KEPT)).sort()
    const at = (share: number) => kept[Math.min(kept.length - 1, Math.floor(kept.length * share))] ?? null
    return { p50Ms: at(0.5), p99Ms: at(0.99) }
  }
}
