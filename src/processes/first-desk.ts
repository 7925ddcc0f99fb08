/** What the first process does for service processes, out of the parts that it has. */
import type { Throttling } from '../api/throttle.ts'
import type { PendingEvents } from '../audit/pending.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import { KmsError } from '../model/errors.ts'
import type { Store } from '../store/store.ts'
import type { CountedRequest, RateRefusal } from './messages.ts'
import type { FirstDesk } from './service-processes.ts'

export interface DeskParts {
  readonly pending: Pick<PendingEvents, 'chain'>
  /** Has the audit log of all processes put where it is looked for. */
  readonly settle: () => Promise<void>
  readonly store: Pick<Store, 'heed'>
  readonly pools: ReadonlyMap<string, Pick<HsmPool, 'evictHere'>>
  readonly throttle: Throttling
}

export function deskOf({ pending, settle, store, pools, throttle }: DeskParts): FirstDesk {
  return {
    chain: pending.chain,
    settle,
    count: request => refusalOf(throttle, request),
    heed: change => store.heed(change),
    evict: async ({ region, digest }) => pools.get(region)?.evictHere(Buffer.from(digest)),
  }
}

async function refusalOf(throttle: Throttling, request: CountedRequest): Promise<RateRefusal | undefined> {
  const { region, rate, ...holder } = request
  try {
    await throttle.count(holder, region, rate)
    return undefined
  } catch (error) {
    if (error instanceof KmsError) return { message: error.message, detail: error.detail }
    throw error
  }
}
