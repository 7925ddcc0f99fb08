/** The request about the daemon itself. */
import { z } from 'zod'
import type { HsmPool } from '../../hsm/pool/pool.ts'
import { readinessOf } from '../health.ts'
import { look } from './request.ts'

export function statusRequests(pools: ReadonlyMap<string, HsmPool>) {
  return { status: look(z.strictObject({}), async () => ({ pid: process.pid, ...readinessOf(pools.values()) })) }
}
