/** Builds a service process: it takes connections and does the whole work of requests; the first process does the rest. */
import { statusOf } from './admin/health.ts'
import { Scrape } from './admin/scrape.ts'
import { Throttle } from './api/throttle.ts'
import { ITSELF } from './audit/identity.ts'
import { sharedBy, UnprovenRefusals } from './audit/refusals.ts'
import { systemClock } from './base/clock.ts'
import { listenForRequests } from './compose-listener.ts'
import { composeServices, type Services } from './compose-services.ts'
import { serviceProcessesOf } from './config/schema.ts'
import { openStateFolder } from './config/state-folder.ts'
import type { FirstProcess } from './processes/first-process.ts'
import { RelayedRecorder } from './processes/relayed-recorder.ts'
import { schedule } from './tasks/schedule.ts'
import { createLogger } from './telemetry/logger.ts'

/** Serves until it is told to stop, or `stopped` resolves. Rejects when it cannot begin. */
export async function serveFor(first: FirstProcess, stopped: Promise<void>): Promise<void> {
  const { number, configuration, listen } = await first.ask('hello', null)
  const logger = createLogger(configuration.log.level, process.stderr, { service: number })
  const clock = systemClock
  const told = Promise.withResolvers<void>()
  let recorder: RelayedRecorder | undefined
  await using services = await composeServices(configuration, {
    ...{ clock, logger, siblings: first, storePath: openStateFolder(configuration.stateDir).store },
    onStore: store => {
      first.built.store = store
    },
    onRefused: parameters => void recorder?.note({ name: 'StoredRecordRefused', parameters }).catch(() => {}),
  })
  const { metrics, pools, store, pending } = services
  first.built.pools = pools
  const refusals = new UnprovenRefusals({
    rates: sharedBy(serviceProcessesOf(configuration.listen.processes), configuration.audit.unprovenRefusals),
    onCounted: () => metrics.auditRefusalsCounted.inc(),
  })
  recorder = new RelayedRecorder({ first, pending, clock, refusals })
  const lookup = { stored: store.audit, settle: () => first.ask('settle', null) }
  const limited = new Throttle(configuration.quotas.requests, { metrics }).limits
  await using _telling = tellOfRefusals(recorder, services)
  await using api = await listenForRequests({
    ...{ services, listen, audit: recorder, lookup, throttle: first.throttling(limited) },
  })
  const scrape = new Scrape({ metrics, pools, store, connections: () => api.connections() })
  first.answer({
    async whenReady({ timeoutMs }) {
      await Promise.all([...pools.values()].map(pool => pool.whenReady(timeoutMs)))
      return { hostPids: [...pools.values()].flatMap(pool => pool.members.flatMap(({ pids }) => pids)) }
    },
    unlock: ({ region, hsm }) => pools.get(region)?.unlock(hsm) ?? false,
    reloadCertificate: () => api.reloadCertificate?.(),
    metrics: () => scrape.values(),
    status: () => statusOf(pools.values()),
    drain: () => told.resolve(),
  })
  await first.ask('serving', { endpoint: api.endpoint })
  await Promise.race([told.promise, stopped])
}

/** Tells how many refusals were counted in place of events; a last time when disposed of. */
function tellOfRefusals(
  recorder: RelayedRecorder,
  { configuration, home, logger, metrics }: Services,
): AsyncDisposable {
  const facts = { identity: ITSELF, region: home.region }
  // While nothing can be recorded they are owed.
  const tell = (options = {}) => recorder.noteRefusals(facts, options).catch(() => {})
  const { checkpointIntervalMs } = configuration.audit
  const telling = schedule('tend the audit log', checkpointIntervalMs, () => tell(), { logger, metrics })
  return {
    async [Symbol.asyncDispose]() {
      await telling.stop()
      await tell({ now: true })
    },
  }
}
