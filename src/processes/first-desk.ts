/** What the first process does for service processes, out of the parts that it has. */
import type { Throttling } from '../api/throttle.ts'
import type { AuditLog } from '../audit/log.ts'
import type { Notary } from '../audit/notary.ts'
import type { PendingEvents } from '../audit/pending.ts'
import type { AuditRecorder } from '../audit/recorder.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import { KmsError } from '../model/errors.ts'
import type { Store } from '../store/store.ts'
import type { CountedRequest, RateRefusal } from './messages.ts'
import type { FirstDesk } from './service-processes.ts'

export interface DeskParts {
  readonly audit: {
    readonly log: Pick<AuditLog, 'failure'>
    readonly recorder: Pick<AuditRecorder, 'relay'>
    readonly notary: Pick<Notary, 'run'>
  }
  readonly pending: Pick<PendingEvents, 'hold' | 'done'>
  readonly store: Pick<Store, 'heed'>
  readonly pools: ReadonlyMap<string, Pick<HsmPool, 'evictHere'>>
  readonly throttle: Throttling
}

export function deskOf({ audit, pending, store, pools, throttle }: DeskParts): FirstDesk {
  return {
    record: ({ events, changes }) => audit.recorder.relay(events, changes),
    settle: () => audit.notary.run(),
    count: request => refusalOf(throttle, request),
    hold: id => pending.hold(id),
    release: id => pending.done(id),
    heed: change => store.heed(change),
    evict: async ({ region, digest }) => pools.get(region)?.evictHere(Buffer.from(digest)),
    auditFailure: () => audit.log.failure?.reason,
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
