/**
 * What ceremonies change while the daemon runs: it looks at the rows of its domains now and then, and tells the pools when one
 * has changed. A pool that meets a change before the next look asks by itself.
 */
import { MULTI_REGION_DOMAIN } from '../base/region.ts'
import type { Domain } from '../store/domain.ts'
import { RowRefused } from '../store/faults.ts'
import type { DaemonKey } from '../store/records.ts'
import type { Reader } from '../store/store.ts'
import type { Logger } from '../telemetry/logger.ts'

/** As often as the store looks for what other processes have committed. */
export const DOMAIN_LOOK_MS = 500

export interface FollowParts {
  readonly reader: Pick<Reader, 'findDomain' | 'findDaemonKey'>
  /** By region: makes its hosts work with what its row says, and that of the domain that regions share. */
  readonly regions: ReadonlyMap<string, (domain: Domain, shared: Domain | undefined) => Promise<void>>
  /** A rotation re-wraps the daemon's own HBK, too: a purpose, and what is to have its new record. */
  readonly daemonKeys: ReadonlyMap<string, (daemonKey: DaemonKey) => void>
  readonly logger: Logger
}

export class DomainFollower {
  readonly #parts: FollowParts
  /** Generations of both rows, by region. */
  readonly #seen = new Map<string, string>()
  /** The rows that were genuine last, by region. */
  readonly #genuine = new Map<string, readonly [domain: Domain, shared: Domain | undefined]>()

  constructor(parts: FollowParts) {
    this.#parts = parts
  }

  /**
   * Looks once. Hosts that are being replaced are not waited for. Throws RowRefused when a row was changed by hand: hosts keep
   * to the former one, or are brought back to it.
   */
  async run(): Promise<void> {
    try {
      await this.#look()
    } catch (error) {
      if (!(error instanceof RowRefused)) throw error
      for (const [region, [domain, shared]] of this.#genuine) this.#tell(region, domain, shared)
      throw error
    }
  }

  async #look(): Promise<void> {
    const { reader, regions, logger } = this.#parts
    const shared = await reader.findDomain(MULTI_REGION_DOMAIN)
    let changed = false
    for (const region of regions.keys()) {
      const domain = await reader.findDomain(region)
      if (domain?.state !== 'ready') continue
      const generations = `${domain.generation} ${shared?.generation ?? 0}`
      if (this.#seen.get(region) === generations) continue
      changed = true
      const first = !this.#seen.has(region)
      this.#seen.set(region, generations)
      this.#genuine.set(region, [domain, shared])
      if (!first) {
        const step = stepOf(domain)
        const sharedStep = shared && stepOf(shared)
        logger.info('domain has changed', { region, generation: domain.generation, step, multiRegion: sharedStep })
      }
      this.#tell(region, domain, shared)
    }
    if (changed) await this.#readDaemonKeys()
  }

  #tell(region: string, domain: Domain, shared: Domain | undefined): void {
    const { regions, logger } = this.#parts
    regions
      .get(region)?.(domain, shared)
      .catch((error: Error) => logger.warn('some hosts keep the former domain', { region, reason: error.message }))
  }

  async #readDaemonKeys(): Promise<void> {
    const { reader, daemonKeys } = this.#parts
    for (const [purpose, use] of daemonKeys) {
      const daemonKey = await reader.findDaemonKey(purpose)
      if (daemonKey !== undefined) use(daemonKey)
    }
  }
}

function stepOf({ rotation }: Domain): string {
  return rotation === undefined ? 'no rotation' : `${rotation.step} version ${rotation.to}`
}
