/** What the roads count and time of each request. Successes keep their series, so that none is looked up by its labels. */
import type { LatencySeries } from '../telemetry/latency-histogram.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tally } from '../telemetry/tally.ts'

interface Successes {
  readonly count: Tally
  readonly took: LatencySeries
}

export const OK = 'ok'
const REFUSED = 'refused'
const FAILED = 'failed'

export class RequestMetrics {
  readonly #metrics: Metrics
  /** By operation, and then by the label of the account. */
  readonly #successes = new Map<string, Map<string, Successes>>()

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  succeeded(operation: string, account: string, seconds: number): void {
    const { count, took } = this.#successesOf(operation, this.#metrics.accounts.of(account))
    count.add()
    took.observe(seconds)
  }

  /** `code` is that of the answer, `failed` whether the fault is ours; `account` is undefined for a caller unproven. */
  refused(
    operation: string,
    { account, code, failed }: { account: string | undefined; code: string; failed: boolean },
    seconds: number,
  ): void {
    const { requests, requestSeconds, accounts } = this.#metrics
    requests.inc({ operation, outcome: code, account: accounts.of(account) })
    requestSeconds.observe({ operation, outcome: failed ? FAILED : REFUSED }, seconds)
  }

  #successesOf(operation: string, account: string): Successes {
    let byAccount = this.#successes.get(operation)
    if (byAccount === undefined) {
      byAccount = new Map()
      this.#successes.set(operation, byAccount)
    }
    let successes = byAccount.get(account)
    if (successes === undefined) {
      const { requests, requestSeconds } = this.#metrics
      successes = {
        count: requests.labels({ operation, outcome: OK, account }),
        took: requestSeconds.labels({ operation, outcome: OK }),
      }
      byAccount.set(account, successes)
    }
    return successes
  }
}
