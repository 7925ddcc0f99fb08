/** A key store with the tokens that sign its records, for a command: hosts are started when they are first asked for. */
import { homeOf } from '../compose-pools.ts'
import { PoolsOnDemand, protectRows } from '../compose-rows.ts'
import type { Configuration } from '../config/schema.ts'
import { PoolAnchors } from '../keyring/anchors.ts'
import { openStore } from '../store/open-store.ts'
import type { RowProtection } from '../store/row-signer.ts'
import type { Store } from '../store/store.ts'
import type { Logger } from '../telemetry/logger.ts'
import { Metrics } from '../telemetry/metrics.ts'

export interface KeyStore {
  readonly store: Store
  readonly pools: PoolsOnDemand
  readonly rows: RowProtection
  readonly anchors: PoolAnchors
}

export interface KeyStoreOptions {
  readonly path: string
  readonly logger: Logger
  /** Whether a store is opened that is older than what its tokens remember: to look at it, or to accept it. */
  readonly older?: boolean
}

/** The caller owns `resources`, which close it. Throws what openStore throws. */
export async function openKeyStore(
  configuration: Configuration,
  { path, logger, older = false }: KeyStoreOptions,
  resources: AsyncDisposableStack,
): Promise<KeyStore> {
  const pools = resources.use(new PoolsOnDemand(homeOf(configuration), configuration, { store: () => store, logger }))
  const { anchors, ...unanchored } = protectRows(pools, { metrics: new Metrics(), logger })
  const rows = older || anchors === undefined ? unanchored : { ...unanchored, anchors }
  const store: Store = await openStore({ path, rows })
  resources.defer(() => store.close())
  return { store, pools, rows, anchors: new PoolAnchors(pools) }
}
