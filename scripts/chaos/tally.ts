/** What became of the requests of one stretch of time. */
export class Tally {
  readonly #durationsMs: number[] = []
  readonly #failures = new Map<string, number>()
  #slowestFailureMs = 0

  /** `failure` is the error's code, or what was wrong with the answer. */
  add(durationMs: number, failure?: string): void {
    this.#durationsMs.push(durationMs)
    if (failure === undefined) return
    this.#failures.set(failure, (this.#failures.get(failure) ?? 0) + 1)
    this.#slowestFailureMs = Math.max(this.#slowestFailureMs, durationMs)
  }

  get requests(): number {
    return this.#durationsMs.length
  }

  get failures(): number {
    return [...this.#failures.values()].reduce((sum, count) => sum + count, 0)
  }

  /** How often each failure happened. */
  get errors(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#failures)
  }

  get worstMs(): number {
    return this.#durationsMs.reduce((worst, ms) => Math.max(worst, ms), 0)
  }

  get slowestFailureMs(): number {
    return this.#slowestFailureMs
  }

  /** Nearest rank: so many percent of the requests took no longer. 0 without any. */
  percentileMs(percent: number): number {
    const sorted = this.#durationsMs.toSorted((a, b) => a - b)
    return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? 0
  }
}
