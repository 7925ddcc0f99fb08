/**
 * The log's lines of refused requests whose caller has proved nothing. Whoever reaches the port has as many of them made as it likes,
 * and would fill the disk of whoever keeps the log: they have the bounds of the events of the audit log (audit/refusals.ts), and
 * while requests are left out, a line now and then says how many. The metrics count every one.
 */
import { type RefusalRates, type Refused, SUMMARY_INTERVAL_MS, UnprovenRefusals } from '../audit/refusals.ts'
import type { Clock } from '../base/clock.ts'
import type { Logger } from '../telemetry/logger.ts'

interface RefusalLinesParts {
  readonly rates: RefusalRates
  readonly logger: Logger
  readonly clock: Clock
}

export class RefusalLines implements Disposable {
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #refusals: UnprovenRefusals
  #timer: NodeJS.Timeout | undefined

  constructor({ rates, logger, clock }: RefusalLinesParts) {
    this.#logger = logger
    this.#clock = clock
    this.#refusals = new UnprovenRefusals({ rates })
  }

  /** Whether a request's line is left out: it is counted then. */
  leavesOut(request: Refused): boolean {
    if (!this.#refusals.leavesOut(request, this.#clock())) return false
    this.#timer ??= setTimeout(() => this.#tell(), SUMMARY_INTERVAL_MS).unref()
    return true
  }

  /** Tells what is left to tell. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#tell()
  }

  #tell(): void {
    this.#timer = undefined
    const summary = this.#refusals.take(this.#clock(), { now: true })
    if (summary === undefined) return
    const { refused, first, last, errorCodes, sources, otherSources } = summary
    const from = { sources: sources.length, moreSources: otherSources !== null }
    this.#logger.warn('refused requests without a line each', { refused, first, last, errorCodes, ...from })
  }
}
