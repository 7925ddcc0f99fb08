/**
 * Runs a task again and again, one run at a time. A run that fails is logged, and the next one comes all the same. When it
 * last ended well, and how long it took, stands in the metrics.
 */
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'

/** Every task by its name in logs and metrics. */
export const TASKS = [
  'write uses of access keys',
  'write uses of KMS keys',
  'delete due keys',
  'scrub the key store',
  'follow domains',
  'rotate due keys',
  'expire imported material',
  'check resident keys',
  'anchor the key store',
  'verify stored records',
  'tend the audit log',
  'expire stored audit events',
  'forward audit events by syslog',
  'forward audit events by http',
] as const
export type TaskName = (typeof TASKS)[number]

export interface Schedule {
  /** Ends the schedule; resolves when a run in progress has ended. */
  stop(): Promise<void>
}

const MS_PER_SECOND = 1_000

export function schedule(
  name: TaskName,
  intervalMs: number,
  task: () => Promise<unknown>,
  { logger, metrics }: { logger: Logger; metrics: Metrics },
): Schedule {
  const took = metrics.taskSeconds.labels({ task: name })
  const done = metrics.taskRuns.labels({ task: name, outcome: 'done' })
  const failed = metrics.taskRuns.labels({ task: name, outcome: 'failed' })
  const succeeded = metrics.taskSucceeded.labels({ task: name })
  metrics.taskInterval.set({ task: name }, intervalMs / MS_PER_SECOND)
  // A task that never ends well is late from its first start on.
  succeeded.setToCurrentTime()
  done.inc(0)
  failed.inc(0)
  let running: Promise<void> = Promise.resolve()
  let busy = false
  const run = () => {
    if (busy) return
    busy = true
    const startedAtMs = performance.now()
    running = task()
      .then(
        () => {
          done.inc()
          succeeded.setToCurrentTime()
        },
        error => {
          failed.inc()
          logger.error('task failed', { task: name, error })
        },
      )
      .finally(() => {
        busy = false
        took.observe((performance.now() - startedAtMs) / MS_PER_SECOND)
      })
  }
  run()
  const timer = setInterval(run, intervalMs).unref()
  return {
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}
