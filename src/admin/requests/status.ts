/** Requests about the daemon itself and the tokens that it works with. */
import { z } from 'zod'
import type { HsmPool } from '../../hsm/pool/pool.ts'
import type { ResidentReport } from '../../keyring/resident-report.ts'
import { type HsmStatus, mergeStatuses, statusOf } from '../health.ts'
import { change, look, RequestRefused } from './request.ts'

/** Looks into the tokens whose HBKs reside there. */
export interface Residents {
  report(): Promise<ResidentReport[]>
}

/** Processes of the daemon that have hosts of their own. */
export interface OtherProcesses {
  readonly pids: readonly number[]
  /** Of those that answer. */
  statuses(): Promise<readonly HsmStatus[]>
  /** The PIN of a token may be tried again. Whether it was refused to any of them. */
  unlock(region: string, hsm: string, uris: readonly string[]): Promise<boolean>
}

export function statusRequests(
  pools: ReadonlyMap<string, HsmPool>,
  residents: Residents,
  others: OtherProcesses | undefined,
) {
  return {
    status: look(z.strictObject({}), async () => {
      const own = { pid: process.pid, ...statusOf(pools.values()) }
      if (others === undefined) return own
      return { ...own, servicePids: others.pids, ...mergeStatuses([own, ...(await others.statuses())]) }
    }),
    'resident-keys': look(z.strictObject({}), async () =>
      (await residents.report()).map(({ unmade: _, ...report }) => report),
    ),
    'hsm/unlock': change(
      z.strictObject({ region: z.string().max(64), hsm: z.string().max(64) }),
      async ({ region, hsm }) => {
        const pool = pools.get(region)
        if (pool === undefined) throw new RequestRefused(`no region ${region} is served`)
        const uris = pool.members.filter(({ label }) => label === hsm).map(({ uri }) => uri)
        // The others ask the first process for their turn, which it then gives.
        const elsewhere = await others?.unlock(region, hsm, uris)
        if (!pool.unlock(hsm) && elsewhere !== true)
          throw new RequestRefused(`region ${region} has no HSM ${hsm} whose PIN was refused`)
        return { region, hsm }
      },
    ),
  }
}
