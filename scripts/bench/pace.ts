/**
 * Open loop: requests are due at a fixed rate, whatever becomes of those before, and the latency of each counts from when it
 * was due. A server that stalls so is charged for every request that had to wait meanwhile (coordinated omission); up to a
 * millisecond of each latency is the generator's own timer.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import { type Connection, isSuccess } from './connection.ts'

/** As much of a connection as is needed here. */
type Line = Pick<Connection, 'listen' | 'send'>

export interface Latencies {
  /** Requests answered a second: below the rate asked for where the server did not keep up. */
  readonly opsPerSec: number
  readonly operations: number
  readonly p50Us: number
  readonly p90Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
}

const TICK_MS = 1
const US_PER_MS = 1_000
const HIGHEST_US = 600_000_000
/** After the last request was due. */
const PATIENCE_MS = 30_000
const ERROR_EXCERPT_BYTES = 2_000

/** Sends for `seconds`, waits for what is due, and rejects at the first failure. */
export function pace(
  connections: readonly Line[],
  next: () => Buffer,
  { perSecond, seconds }: { perSecond: number; seconds: number },
): Promise<Latencies> {
  const { promise, resolve, reject } = Promise.withResolvers<Latencies>()
  const latencies = createHistogram({ lowest: 1, highest: HIGHEST_US, figures: 3 })
  const total = Math.max(1, Math.round(perSecond * seconds))
  const startedAt = performance.now()
  const dueAt = (index: number) => startedAt + (index * 1_000) / perSecond
  const idle = [...connections]
  let sent = 0
  let answered = 0

  const send = (connection: Line) => {
    const due = dueAt(sent++)
    connection.listen(bytes => {
      if (!isSuccess(bytes)) {
        reject(new Error(`not a success:\n${bytes.toString('utf8', 0, ERROR_EXCERPT_BYTES)}`))
        return
      }
      const now = performance.now()
      latencies.record(Math.max(1, Math.round((now - due) * US_PER_MS)))
      answered += 1
      if (answered === total) resolve(summary(latencies, answered, (now - startedAt) / 1_000))
      else if (sent < total && dueAt(sent) <= now) send(connection)
      else idle.push(connection)
    }, reject)
    connection.send(next())
  }
  const ticks = setInterval(() => {
    const now = performance.now()
    while (idle.length > 0 && sent < total && dueAt(sent) <= now) send(idle.pop()!)
    if (now > dueAt(total) + PATIENCE_MS) reject(new Error(`${total - answered} requests are not answered`))
  }, TICK_MS)
  return promise.finally(() => clearInterval(ticks))
}

function summary(latencies: RecordableHistogram, operations: number, seconds: number): Latencies {
  return {
    opsPerSec: Math.round(operations / seconds),
    operations,
    p50Us: latencies.percentile(50),
    p90Us: latencies.percentile(90),
    p99Us: latencies.percentile(99),
    p999Us: latencies.percentile(99.9),
    maxUs: latencies.max,
  }
}
