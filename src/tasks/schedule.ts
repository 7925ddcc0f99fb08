/** Runs a task again and again, one run at a time. A run that fails is logged, and the next one comes all the same. */
import type { Logger } from '../telemetry/logger.ts'

export interface Schedule {
  /** Ends the schedule; resolves when a run in progress has ended. */
  stop(): Promise<void>
}

export function schedule(name: string, intervalMs: number, task: () => Promise<unknown>, logger: Logger): Schedule {
  let running: Promise<void> = Promise.resolve()
  let busy = false
  const run = () => {
    if (busy) return
    busy = true
    running = task()
      .then(
        () => {},
        error => logger.error('task failed', { task: name, error }),
      )
      .finally(() => {
        busy = false
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
