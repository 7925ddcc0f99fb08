/** The daemon at fixed rates: how long requests take while it has room. */
import type { Daemon } from './daemon.ts'
import type { Operation } from './operations.ts'
import type { Rate } from './options.ts'
import type { Latencies } from './pace.ts'
import { drawTable, type Report } from './report.ts'

export interface OpenLoopPoint extends Latencies {
  readonly askedPerSec: number
  readonly serviceCpuUs: number
  readonly hostsCpuUs: number
}

export interface OpenLoopRun {
  readonly operation: Operation
  readonly points: readonly OpenLoopPoint[]
}

interface Plan {
  readonly operations: readonly Operation[]
  readonly rates: readonly Rate[]
  readonly seconds: number
  readonly warmUp: number
}

/** Percentages are of the throughput that `closed` has of the daemon. */
export async function openLoop(
  daemon: Daemon,
  closed: Report,
  { operations, rates, seconds, warmUp }: Plan,
  progress: (line: string) => void,
): Promise<OpenLoopRun[]> {
  const runs: OpenLoopRun[] = []
  for (const operation of operations) {
    const most = closed.operations[operation]?.daemon?.opsPerSec ?? 0
    const points: OpenLoopPoint[] = []
    for (const rate of rates) {
      const askedPerSec = 'perSecond' in rate ? rate.perSecond : Math.max(1, Math.round((most * rate.percent) / 100))
      await daemon.pace(operation, askedPerSec, warmUp)
      const point = { askedPerSec, ...(await daemon.pace(operation, askedPerSec, seconds)) }
      points.push(point)
      progress(`${operation} at ${askedPerSec}/s: median ${point.p50Us} µs, p99 ${point.p99Us} µs`)
    }
    runs.push({ operation, points })
  }
  return runs
}

const COLUMNS = ['open loop', 'asked/s', 'done/s', 'median µs', 'p90', 'p99', 'p99.9', 'most', 'service', 'HSM hosts']

export function openLoopTable(runs: readonly OpenLoopRun[]): string {
  const rows = runs.flatMap(({ operation, points }) =>
    points.map(point => [
      operation,
      point.askedPerSec.toLocaleString('en'),
      point.opsPerSec.toLocaleString('en'),
      ...[point.p50Us, point.p90Us, point.p99Us, point.p999Us, point.maxUs].map(us => us.toLocaleString('en')),
      point.serviceCpuUs.toFixed(1),
      point.hostsCpuUs.toFixed(1),
    ]),
  )
  return drawTable(COLUMNS, rows, 1)
}
