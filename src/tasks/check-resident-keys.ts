/**
 * Looks in each token that HBKs may reside in, soon after it serves and then every hour: what is in it and in no record,
 * and the other way round, is told to operators in the log and in metrics. Nothing in a token is changed.
 */
import type { Clock } from '../base/clock.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import { type ResidentReport, reportResidents } from '../keyring/resident-report.ts'
import type { Store } from '../store/store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** How often it is seen whether a token is due. */
export const CHECK_TICK_MS = 15_000
const CHECK_EVERY_MS = 3_600_000

export interface ResidentCheckParts {
  readonly store: Store
  readonly pools: ReadonlyMap<string, HsmPool>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

export class ResidentCheck {
  readonly #parts: ResidentCheckParts
  /** By serial, on the monotonic clock. */
  readonly #checkedAtMs = new Map<string, number>()

  constructor(parts: ResidentCheckParts) {
    this.#parts = parts
  }

  /** Checks the tokens that are due. */
  async run(): Promise<void> {
    const now = performance.now()
    for (const [pool, token] of serving(this.#parts.pools)) {
      if (now - (this.#checkedAtMs.get(token.serial) ?? -CHECK_EVERY_MS) < CHECK_EVERY_MS) continue
      await this.#check(pool, token)
      this.#checkedAtMs.set(token.serial, now)
    }
  }

  /** What an operator asks for: every token that serves, now. */
  async report(): Promise<ResidentReport[]> {
    const reports: ResidentReport[] = []
    for (const [pool, token] of serving(this.#parts.pools)) reports.push(await this.#check(pool, token))
    return reports
  }

  async #check(pool: HsmPool, token: Parameters<typeof reportResidents>[2]): Promise<ResidentReport> {
    const { store, logger, metrics } = this.#parts
    const report = await reportResidents(this.#parts, pool, token)
    const { region, hsm, serial, orphans, missing, unmade } = report
    metrics.residentHbks.set({ region, token: hsm }, report.keys)
    metrics.orphanObjects.set({ region, token: hsm }, orphans.length)
    metrics.missingHbks.set({ region, token: hsm }, missing.length)
    if (orphans.length > 0)
      logger.warn('objects in an HSM that no record names; they are left alone', { region, hsm, serial, orphans })
    if (missing.length > 0) logger.error('keys whose HBK is not in its HSM', { region, hsm, serial, missing })
    for (const object of unmade) await store.transaction(tx => tx.deleteResidentObject(object))
    return report
  }
}

function* serving(pools: ReadonlyMap<string, HsmPool>): Generator<[HsmPool, HsmPool['tokens'][number]]> {
  for (const pool of pools.values()) {
    for (const token of pool.tokens) if (token.serving && token.keeps) yield [pool, token]
  }
}
