/** Requests about the daemon itself and the tokens that it works with. */
import { z } from 'zod'
import type { HsmPool } from '../../hsm/pool/pool.ts'
import type { ResidentReport } from '../../keyring/resident-report.ts'
import { statusOf } from '../health.ts'
import { change, look, RequestRefused } from './request.ts'

/** Looks into the tokens whose HBKs reside there. */
export interface Residents {
  report(): Promise<ResidentReport[]>
}

export function statusRequests(pools: ReadonlyMap<string, HsmPool>, residents: Residents) {
  return {
    status: look(z.strictObject({}), async () => ({ pid: process.pid, ...statusOf(pools.values()) })),
    'resident-keys': look(z.strictObject({}), async () =>
      (await residents.report()).map(({ unmade: _, ...report }) => report),
    ),
    'hsm/unlock': change(
      z.strictObject({ region: z.string().max(64), hsm: z.string().max(64) }),
      async ({ region, hsm }) => {
        const pool = pools.get(region)
        if (pool === undefined) throw new RequestRefused(`no region ${region} is served`)
        if (!pool.unlock(hsm)) throw new RequestRefused(`region ${region} has no HSM ${hsm} whose PIN was refused`)
        return { region, hsm }
      },
    ),
  }
}
