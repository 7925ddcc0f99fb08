/** A daemon in the test's own process, with a clock that can be moved. */
import { KMS } from '@aws-sdk/client-kms'
import { readCredentials } from '../../scripts/instance.ts'
import { compose, type Daemon } from '../../src/compose.ts'
import { loadConfiguration } from '../../src/config/load.ts'
import type { Logger } from '../../src/telemetry/logger.ts'
import type { Instance } from './instance.ts'
import { REGION, silentLogger } from './tokens.ts'

const READY_MS = 60_000

/** A clock that is so far ahead of the real one. */
export interface MovedClock {
  offsetMs: number
}

export interface ComposedDaemon extends Daemon {
  /**
   * A client, of the first user unless it is told of another, whose requests are signed at the daemon's time: by itself the SDK
   * sets its clock by the Date of each answer, which is the real one. It is destroyed with the daemon.
   */
  client(credentials?: { accessKeyId: string; secretAccessKey: string }): KMS
}

/** Resolves when it can serve, or without waiting for that when `serving` is false. Whoever asked for it disposes of it. */
export async function composeDaemon(
  instance: Instance,
  configuration: string,
  {
    clock = { offsetMs: 0 },
    logger = silentLogger,
    serving = true,
  }: { clock?: MovedClock; logger?: Logger; serving?: boolean } = {},
): Promise<ComposedDaemon> {
  const options = { clock: () => Date.now() + clock.offsetMs, logger }
  const daemon = await compose(loadConfiguration(configuration), options)
  const clients: KMS[] = []
  const composed: ComposedDaemon = {
    ...daemon,
    client(credentials = readCredentials(instance.stateDir)) {
      const where = { endpoint: daemon.endpoint, region: REGION, credentials }
      const client = new KMS({ ...where, maxAttempts: 1, systemClockOffset: clock.offsetMs })
      clients.push(client)
      return client
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.destroy()
      await daemon[Symbol.asyncDispose]()
    },
  }
  try {
    if (serving) await daemon.whenReady(READY_MS)
  } catch (error) {
    await composed[Symbol.asyncDispose]()
    throw error
  }
  return composed
}
