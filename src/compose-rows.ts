/** From pools of HSMs to the MACs of stored records: shared by the daemon and by ceremonies. */
import { MULTI_REGION_DOMAIN } from './base/region.ts'
import { composePool, followDomain, NotReady, withEnrolledTokens } from './compose-pools.ts'
import type { Configuration } from './config/schema.ts'
import type { HsmPool } from './hsm/pool/pool.ts'
import { type AnchorPools, PoolAnchors } from './keyring/anchors.ts'
import { PoolRowSigner, type SigningPools } from './keyring/row-signer.ts'
import type { RowProtection } from './store/row-signer.ts'
import type { Store } from './store/store.ts'
import type { Logger } from './telemetry/logger.ts'
import { Metrics } from './telemetry/metrics.ts'

/** For a busy machine; tokens that cannot be opened are given up earlier. */
const POOL_START_MS = 60_000
/** Failures in a row that a command takes for an answer. A daemon goes on trying. */
const FAILED_STARTS_MAX = 6

export function protectRows(
  pools: SigningPools & AnchorPools,
  parts: {
    metrics: Metrics
    logger: Logger
    onRefused?: (row: { readonly table: string; readonly primaryKey: string; readonly reason: string }) => void
  },
): RowProtection {
  const told = new Set<string>()
  return {
    signer: new PoolRowSigner(pools),
    anchors: new PoolAnchors(pools),
    onRolledBack({ region, message }) {
      if (told.has(message)) return
      told.add(message)
      parts.logger.error('nothing is served from a key store that is older than it may be', { region, reason: message })
    },
    onRefused({ table, primaryKey, reason }) {
      parts.metrics.rowsRefused.inc({ table })
      parts.logger.error('stored record refused: it was changed by other means than this program', {
        ...{ table, primaryKey, reason },
      })
      parts.onRefused?.({ table, primaryKey, reason })
    },
  }
}

/** Pools for the MACs of a command that may never need one: each is started when it is first asked for. */
export class PoolsOnDemand implements SigningPools, AnchorPools, AsyncDisposable {
  readonly home: string
  readonly #configuration: Configuration
  readonly #logger: Logger
  readonly #store: () => Store
  readonly #pools = new Map<string, Promise<HsmPool>>()

  constructor(home: string, configuration: Configuration, parts: { store: () => Store; logger: Logger }) {
    this.home = home
    this.#configuration = configuration
    this.#store = parts.store
    this.#logger = parts.logger
  }

  poolOf(region: string): Promise<HsmPool> | undefined {
    const settings = this.#configuration.regions.find(({ name }) => name === region)
    if (settings === undefined) return undefined
    const known = this.#pools.get(region)
    if (known !== undefined) return known
    const starting = this.#start(settings)
    this.#pools.set(region, starting)
    // A domain that no token can work with at present may be brought to where one can.
    starting.catch(() => this.#pools.delete(region))
    return starting
  }

  /**
   * Has the pools that were started work with what the rows of their domains say by now, and with the tokens that they say
   * have joined. A token that cannot is passed over: the others sign.
   */
  async follow(): Promise<void> {
    const { reader } = this.#store()
    const shared = await reader.findStoredDomain(MULTI_REGION_DOMAIN)
    for (const settings of this.#configuration.regions) {
      const pool = await this.#pools.get(settings.name)?.catch(() => undefined)
      const domain = await reader.findStoredDomain(settings.name)
      if (pool === undefined || domain === undefined) continue
      try {
        await followDomain(pool, withEnrolledTokens(settings, domain), this.#configuration, domain, shared)
        await pool.whenReady(POOL_START_MS, FAILED_STARTS_MAX)
      } catch (error) {
        this.#logger.debug('some hosts keep the former domain', { error })
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const starting of this.#pools.values()) await (await starting.catch(() => undefined))?.close()
  }

  async #start(region: Configuration['regions'][number]): Promise<HsmPool> {
    const parts = { store: this.#store(), metrics: new Metrics(), logger: this.#logger }
    const domain = await parts.store.reader.findStoredDomain(region.name)
    // A token that is still to be enrolled has nothing to sign with.
    if (domain?.state !== 'ready')
      throw new NotReady(`region ${region.name} has no domain: run "strongroom init" first`)
    const pool = await composePool(withEnrolledTokens(region, domain), this.#configuration, parts)
    try {
      await pool.whenReady(POOL_START_MS, FAILED_STARTS_MAX)
      return pool
    } catch (error) {
      // Its hosts would keep the command from ending.
      await pool.close()
      throw error
    }
  }
}
