/** What the commands of dual control work with: the key store and the folder of requests, daemon running or not. */
import { systemClock } from '../../base/clock.ts'
import { loadConfiguration } from '../../config/load.ts'
import { openStateFolder } from '../../config/state-folder.ts'
import { openStore } from '../../store/open-store.ts'
import type { ApprovalParts } from './approval.ts'
import { openRequestFolder } from './request-folder.ts'

/** Opens them from the configuration for as long as `use` takes. */
export async function withApprovalParts<T>(config: string, use: (parts: ApprovalParts) => Promise<T>): Promise<T> {
  const state = openStateFolder(loadConfiguration(config).stateDir)
  const store = await openStore({ path: state.store })
  try {
    return await use({ store, clock: systemClock, requests: openRequestFolder(state.requests) })
  } finally {
    await store.close()
  }
}
