/** Pools as a test wants them: tokens with and without the rig before them, and the log of what became of them. */
import { HsmPool, type PoolSettings } from '../../src/hsm/pool/pool.ts'
import type { Logger } from '../../src/telemetry/logger.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { waitUntil } from './processes.ts'
import { REGION } from './tokens.ts'

export interface WatchedPool {
  readonly pool: HsmPool
  readonly metrics: Metrics
  /** `label state` for each change of state that was logged, in their order. */
  readonly changes: string[]
  /** Waits until the token of this label is in this state. */
  reach(label: string, state: string, timeoutMs?: number): Promise<void>
}

const BOUNDS = { maxCommands: 1_000, maxWaitMs: 800, healthIntervalMs: 1_000 }
/** What a pool may need to start a host and log in, on a machine that has other things to do. */
const REACH_MS = 20_000

export function startPool(tokens: PoolSettings['tokens'], settings: Partial<PoolSettings> = {}): WatchedPool {
  const changes: string[] = []
  const note: Logger['info'] = (event, fields) => {
    if (event === 'HSM changed its state') changes.push(`${fields?.hsm} ${fields?.state}`)
  }
  const logger: Logger = { error: note, warn: note, info: note, debug() {}, enabled: () => false }
  const metrics = new Metrics()
  const pool = new HsmPool({ region: REGION, tokens, ...BOUNDS, ...settings }, { metrics, logger })
  return {
    ...{ pool, metrics, changes },
    reach: (label, state, timeoutMs = REACH_MS) =>
      waitUntil(
        () => pool.members.some(member => member.label === label && member.state === state),
        timeoutMs,
        () => `${label} is ${pool.members.find(member => member.label === label)?.state}, not ${state}`,
      ),
  }
}
