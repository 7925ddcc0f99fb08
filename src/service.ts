/**
 * The entry of a service process, which the first process of the daemon starts. SIGTERM drains it, and the first process starts
 * another; what comes from a terminal is for the first process alone. Node ends it when the first process is gone.
 */
import { NotReady } from './compose-pools.ts'
import { serveFor } from './compose-service.ts'
import { FirstProcess } from './processes/first-process.ts'
import { createLogger } from './telemetry/logger.ts'

for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})
const stopped = new Promise<void>(resolve => process.once('SIGTERM', () => resolve()))
const first = new FirstProcess(process)
try {
  await serveFor(first, stopped)
  process.exit(0)
} catch (error) {
  if (!(error instanceof NotReady)) createLogger('error').error('service process cannot go on', { error })
  await first.ask('failed', { reason: (error as Error).message }).catch(() => {})
  process.exit(1)
}
