/** What the commands of dual control work with: the key store and the folder of requests, daemon running or not. */
import { systemClock } from '../../base/clock.ts'
import { homeOf } from '../../compose-pools.ts'
import { PoolsOnDemand, protectRows } from '../../compose-rows.ts'
import { loadConfiguration } from '../../config/load.ts'
import { openStateFolder } from '../../config/state-folder.ts'
import { openStore } from '../../store/open-store.ts'
import type { Store } from '../../store/store.ts'
import { createLogger } from '../../telemetry/logger.ts'
import { Metrics } from '../../telemetry/metrics.ts'
import type { ApprovalParts } from './approval.ts'
import { openRequestFolder } from './request-folder.ts'

/**
 * Opens them from the configuration for as long as `use` takes. Once records carry MACs, the HSMs of the first region verify
 * and sign officers and approvals.
 */
export async function withApprovalParts<T>(config: string, use: (parts: ApprovalParts) => Promise<T>): Promise<T> {
  const configuration = loadConfiguration(config)
  const state = openStateFolder(configuration.stateDir)
  const logger = createLogger('warn')
  await using resources = new AsyncDisposableStack()
  const pools = resources.use(new PoolsOnDemand(homeOf(configuration), configuration, { store: () => store, logger }))
  const rows = protectRows(pools, { metrics: new Metrics(), logger })
  const store: Store = await openStore({ path: state.store, rows })
  resources.defer(() => store.close())
  // Before any transaction, which would hold the store while hosts start.
  if (await store.rowMacs.areComplete()) await pools.poolOf(pools.home)
  return await use({ store, clock: systemClock, requests: openRequestFolder(state.requests) })
}
