/**
 * What requests and tasks work with: key store, pools, keyring, decisions. Each process of the daemon has its own. Disposing of
 * it writes down what it knows of uses, ends the hosts and closes the store.
 */
import { Targets } from './access/targets.ts'
import { PendingEvents } from './audit/pending.ts'
import type { Clock } from './base/clock.ts'
import { composePool, followDomain, homeOf, NotReady } from './compose-pools.ts'
import { protectRows } from './compose-rows.ts'
import type { Configuration } from './config/schema.ts'
import type { HsmPool, PoolSiblings } from './hsm/pool/pool.ts'
import { AccessKeyUses } from './identities/access-key-uses.ts'
import { findDaemonKeys } from './keyring/daemon-keys.ts'
import { Imports } from './keyring/imports.ts'
import { KeyUses } from './keyring/key-uses.ts'
import { Keyring } from './keyring/keyring.ts'
import { Secrets } from './keyring/secrets.ts'
import { Sessions } from './keyring/sessions.ts'
import { Access } from './operations/access.ts'
import { ServiceKeys } from './operations/service-keys.ts'
import { openStore } from './store/open-store.ts'
import type { Store, StoreSiblings } from './store/store.ts'
import { DOMAIN_LOOK_MS, DomainFollower } from './tasks/follow-domains.ts'
import { schedule } from './tasks/schedule.ts'
import { SCRUB_LOOK_MS, scrubStore } from './tasks/scrub-store.ts'
import type { Logger } from './telemetry/logger.ts'
import { Metrics } from './telemetry/metrics.ts'
import type { Tracing } from './telemetry/tracing.ts'

export interface Services extends AsyncDisposable {
  readonly configuration: Configuration
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
  readonly tracing: Tracing | undefined
  readonly pending: PendingEvents
  readonly store: Store
  readonly pools: ReadonlyMap<string, HsmPool>
  /** Whose tokens sign checkpoints, and hold the daemon's own keys. */
  readonly home: HsmPool
  readonly keyring: Keyring
  readonly imports: Imports
  readonly secrets: Secrets
  readonly sessions: Sessions
  readonly accessKeyUses: AccessKeyUses
  readonly keyUses: KeyUses
  readonly serviceKeys: ServiceKeys
  readonly access: Access
}

export interface ServicesOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** The path of the key store. */
  readonly storePath: string
  /** A stored record is not what this program wrote. */
  readonly onRefused: (parameters: Readonly<Record<string, string>>) => void
  /** The other processes of the daemon, when there are any. */
  readonly siblings?: { readonly ofStore: StoreSiblings; readonly ofPools: PoolSiblings } | undefined
  /** Called when the store is open, and before anything is read from it. */
  readonly onStore?: (store: Store) => void
}

const ROWS_WITHOUT_MACS =
  'some records of the key store carry no MACs: run "strongroom init", which signs them as they are, before the daemon starts'
/** How old the last use of an access key or a KMS key may be in the store. */
const USES_INTERVAL_MS = 60_000

/** Throws {@link NotReady} when an operator has to do something first. */
export async function composeServices(
  configuration: Configuration,
  { clock, logger, storePath, onRefused, siblings, onStore }: ServicesOptions,
): Promise<Services> {
  await using parts = new AsyncDisposableStack()
  const metrics = new Metrics({ accountLabels: configuration.telemetry.accountLabels })
  const telemetry = { logger, metrics }
  const tracing = await composeTracing(configuration.telemetry.otlp, logger)
  if (tracing !== undefined) parts.use(tracing)
  const pools = new Map<string, HsmPool>()
  const pending = new PendingEvents()
  const rows = protectRows(
    { home: homeOf(configuration), poolOf: region => pools.get(region) },
    { metrics, logger, onRefused },
  )
  const cachedKeys = configuration.store.cachedRecords
  const store = await openStore({
    ...{ path: storePath, cachedKeys, rows, events: pending, metrics, siblings: siblings?.ofStore },
    onStale(reason) {
      if (reason === undefined) logger.info('the key store can be looked at again')
      else logger.error('nothing is answered while it cannot be seen whether others change the key store', { reason })
    },
  })
  parts.defer(() => store.close())
  onStore?.(store)

  parts.defer(async () => void (await Promise.all([...pools.values()].map(pool => pool.close()))))
  for (const region of configuration.regions) {
    const others = { store, metrics, logger, tracing, siblings: siblings?.ofPools }
    pools.set(region.name, await composePool(region, configuration, others))
  }
  if (!(await store.rowMacs.areComplete())) throw new NotReady(ROWS_WITHOUT_MACS)
  const daemonKeys = await findDaemonKeys(store)
  const home = daemonKeys && pools.get(daemonKeys.identity.region)
  if (daemonKeys === undefined || home === undefined)
    throw new NotReady('the daemon\'s own keys or the first user are missing: run "strongroom init" first')

  const keyring = new Keyring({ pools, store, clock })
  const secrets = new Secrets(home, daemonKeys.identity, () => metrics.signingKeysOpened.inc())
  const sessions = new Sessions(home, daemonKeys)
  const accessKeyUses = new AccessKeyUses(store)
  const keyUses = new KeyUses(store)
  for (const [what, uses] of [
    ['access keys', accessKeyUses],
    ['KMS keys', keyUses],
  ] as const) {
    const writing = schedule(`write uses of ${what}`, USES_INTERVAL_MS, () => uses.write(), telemetry)
    parts.defer(async () => {
      await writing.stop()
      await uses.write()
    })
  }
  const serviceKeys = new ServiceKeys({ store, keyring, clock })
  const targets = new Targets(store.hot)
  const access = new Access({ targets, hot: store.hot, reader: store.reader, clock, serviceKeys, keyUses })
  const imports = new Imports({ pools, store, clock, inHostAllowed: configuration.hsm.importInHost })
  const follower = new DomainFollower({
    reader: store.reader,
    regions: new Map(
      configuration.regions.map(region => {
        const pool = pools.get(region.name)!
        return [region.name, (domain, shared) => followDomain(pool, region, configuration, domain, shared)]
      }),
    ),
    daemonKeys: new Map([
      [daemonKeys.identity.purpose, renewed => secrets.useDaemonKey(renewed)],
      [daemonKeys.session.purpose, renewed => sessions.useSessionKey(renewed)],
      [daemonKeys.gate.purpose, renewed => sessions.useGateKey(renewed)],
    ]),
    logger,
  })
  const following = schedule('follow domains', DOMAIN_LOOK_MS, () => follower.run(), telemetry)
  parts.defer(() => following.stop())
  const scrubbing = schedule('scrub the key store', SCRUB_LOOK_MS, () => scrubStore(store), telemetry)
  parts.defer(() => scrubbing.stop())
  const owned = parts.move()
  return {
    ...{ configuration, clock, logger, metrics, tracing, pending, store, pools, home },
    ...{ keyring, imports, secrets, sessions, accessKeyUses, keyUses, serviceKeys, access },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** The packages of OpenTelemetry take memory and time to load: only who traces has them. */
async function composeTracing(otlp: Configuration['telemetry']['otlp'], logger: Logger): Promise<Tracing | undefined> {
  if (otlp.endpoint === '') return undefined
  const { OtlpTracing } = await import('./telemetry/otlp.ts')
  return new OtlpTracing(otlp, logger)
}
