/** Builds a service process: it takes connections and does the whole work of requests; the first process does the rest. */
import { statusOf } from './admin/health.ts'
import { Scrape } from './admin/scrape.ts'
import { Throttle } from './api/throttle.ts'
import { systemClock } from './base/clock.ts'
import { composeProcessAudit } from './compose-audit.ts'
import type { Chain } from './compose-chain.ts'
import { type ApiListener, listenForRequests } from './compose-listener.ts'
import { composeServices } from './compose-services.ts'
import { openStateFolder } from './config/state-folder.ts'
import type { HsmPool } from './hsm/pool/pool.ts'
import type { FirstProcess } from './processes/first-process.ts'
import { createLogger } from './telemetry/logger.ts'

/** Where another process takes connections, so long at most are they left to it while the hosts of this one start. */
const LEFT_TO_OTHERS_MS = 15_000

/** Serves until it is told to stop, or `stopped` resolves. Rejects when it cannot begin. */
export async function serveFor(first: FirstProcess, stopped: Promise<void>): Promise<void> {
  const parent = process.ppid
  const { number, daemonChain, configuration, listen, othersServe } = await first.ask('hello', null)
  const logger = createLogger(configuration.log.level, process.stderr, { service: number })
  const clock = systemClock
  const told = Promise.withResolvers<void>()
  const state = openStateFolder(configuration.stateDir)
  let chain: Chain | undefined
  await using services = await composeServices(configuration, {
    ...{ clock, logger, siblings: first, storePath: state.store },
    onStore: store => {
      first.built.store = store
    },
    onRefused: parameters => void chain?.recorder.note({ name: 'StoredRecordRefused', parameters }).catch(() => {}),
  })
  const { metrics, pools, store } = services
  first.built.pools = pools
  await using audit = await composeProcessAudit(
    { ...services, folder: state.audit },
    {
      ...{ daemon: daemonChain, process: number },
      // The next daemon closes the chain. That the first process is gone this one hears a moment after it is so.
      requireOwner() {
        if (process.ppid !== parent) throw new Error('the first process of the daemon is gone')
      },
      onTended: ({ log, notary }) =>
        first.ask('standing', {
          ...{ chain: log.chain, stored: notary.stored, failure: log.failure?.reason },
          ...{ unwritable: store.unwritable, ready: [...pools.values()].every(pool => pool.ready) },
        }),
    },
  )
  chain = audit
  const lookup = { stored: store.audit, settle: () => first.ask('settle', null) }
  const limited = new Throttle(configuration.quotas.requests, { metrics }).limits
  let api: ApiListener | undefined
  const scrape = new Scrape({ metrics, pools, store, connections: async () => (await api?.connections()) ?? 0 })
  first.answer({
    async whenReady({ timeoutMs }) {
      await Promise.all([...pools.values()].map(pool => pool.whenReady(timeoutMs)))
      return { hostPids: [...pools.values()].flatMap(pool => pool.members.flatMap(({ pids }) => pids)) }
    },
    unlock: ({ region, hsm }) => pools.get(region)?.unlock(hsm) ?? false,
    reloadCertificate: () => api?.reloadCertificate?.(),
    settle: () => audit.notary.run(),
    metrics() {
      audit.report()
      return scrape.values()
    },
    status: () => statusOf(pools.values()),
    drain: () => told.resolve(),
  })
  const over = Promise.race([told.promise, stopped])
  if (othersServe) await Promise.race([hostsServe(pools), over])
  await using listener = await listenForRequests({
    ...{ services, listen, audit: audit.recorder, lookup, throttle: first.throttling(limited) },
  })
  api = listener
  await first.ask('serving', { endpoint: api.endpoint })
  await over
}

/** Resolves when the hosts of all pools serve, or when there is no more waiting for them. */
async function hostsServe(pools: ReadonlyMap<string, HsmPool>): Promise<void> {
  await Promise.allSettled([...pools.values()].map(pool => pool.whenReady(LEFT_TO_OTHERS_MS)))
}
