/**
 * The daemon's life: configuration, compose, serve, drain. SIGTERM and SIGINT drain and end with code 0. SIGHUP reads the
 * certificate again; where there is none it is a terminal that was closed, and drains like the others. A parent that gave it
 * an IPC channel is told the addresses when it is ready, and takes it along when it ends.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { compose, type Daemon } from './compose.ts'
import { loadConfiguration } from './config/load.ts'
import { createLogger, type Logger } from './telemetry/logger.ts'

const READY_MS = 60_000
/** Between two tries to be ready, where one fails at once. */
const AGAIN_MS = 1_000

/** What a parent process is told. */
export interface ReadyMessage {
  readonly endpoint: string
  readonly adminEndpoint: string
  /** The processes that take connections, where they are not the daemon's first. */
  readonly servicePids: readonly number[]
  readonly hsmHostPids: readonly number[]
}

/** Runs until it is told to stop. Throws what compose throws. */
export async function runDaemon(configurationPath: string): Promise<void> {
  try {
    await serveUntilStopped(configurationPath)
  } finally {
    // A channel that somebody listens on keeps a process alive.
    if (process.connected) process.disconnect?.()
  }
}

async function serveUntilStopped(configurationPath: string): Promise<void> {
  const configuration = loadConfiguration(configurationPath)
  const logger = createLogger(configuration.log.level)
  const { promise: stopped, resolve: stop } = Promise.withResolvers<string>()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop(signal))
  process.once('disconnect', () => stop('the end of the parent process'))
  await using daemon = await compose(configuration, { logger })
  const { endpoint, adminEndpoint, pools, reloadCertificate } = daemon
  process.on('SIGHUP', reloadCertificate ?? (() => stop('SIGHUP')))
  logger.info('listening', { endpoint, adminEndpoint, regions: [...pools.keys()] })
  const over = new AbortController()
  void announceReadiness(daemon, logger, over.signal)
  const because = await stopped
  over.abort()
  logger.info('stopping', { because })
}

/** Announces the daemon when it is ready, however late; until then, each reason that it is not is told once. */
async function announceReadiness(daemon: Daemon, logger: Logger, over: AbortSignal): Promise<void> {
  let told: string | undefined
  while (!over.aborted) {
    try {
      await daemon.whenReady(READY_MS)
      if (!over.aborted) announce(daemon, logger)
      return
    } catch (error) {
      const { message: reason } = error as Error
      if (reason !== told && !over.aborted) logger.error('not ready, and serving what can be served', { reason })
      told = reason
      await sleep(AGAIN_MS, undefined, { ref: false })
    }
  }
}

function announce({ endpoint, adminEndpoint, servicePids, hsmHostPids }: Daemon, logger: Logger): void {
  logger.info('ready', { endpoint, adminEndpoint, servicePids, hsmHostPids })
  const message: ReadyMessage = { endpoint, adminEndpoint, servicePids, hsmHostPids }
  process.send?.(message)
}
