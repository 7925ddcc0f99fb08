/**
 * The only place that builds the daemon's parts and joins them. Disposing of a daemon drains it: no new connection, the
 * requests in hand answered, the hosts ended, the store closed.
 */
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { Server as TlsServer } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import { Targets } from './access/targets.ts'
import { createAdminListener } from './admin/admin-listener.ts'
import { createAdminSocket } from './admin/admin-socket.ts'
import { Explanations } from './admin/explanations.ts'
import { Certificate } from './api/certificate.ts'
import { createApiServer } from './api/server.ts'
import { Throttle } from './api/throttle.ts'
import { PendingEvents } from './audit/pending.ts'
import { type Clock, systemClock } from './base/clock.ts'
import { type Audit, composeAudit } from './compose-audit.ts'
import { composePool, followDomain, homeOf, NotReady } from './compose-pools.ts'
import { protectRows } from './compose-rows.ts'
import { type Configuration, loopback } from './config/schema.ts'
import { openStateFolder } from './config/state-folder.ts'
import type { HsmPool } from './hsm/pool/pool.ts'
import { AccessKeyUses } from './identities/access-key-uses.ts'
import { AccessKeys } from './identities/access-keys.ts'
import { Accounts } from './identities/accounts.ts'
import { Applying } from './identities/apply.ts'
import { Identities } from './identities/identities.ts'
import { ManagedPolicies } from './identities/managed-policies.ts'
import { PoolAnchors } from './keyring/anchors.ts'
import { findDaemonKeys } from './keyring/daemon-keys.ts'
import { Imports } from './keyring/imports.ts'
import { KeyUses } from './keyring/key-uses.ts'
import { Keyring } from './keyring/keyring.ts'
import { Secrets } from './keyring/secrets.ts'
import { Sessions } from './keyring/sessions.ts'
import { Access } from './operations/access.ts'
import { ServiceKeys } from './operations/service-keys.ts'
import { openStore } from './store/open-store.ts'
import { ANCHOR_LOOK_MS, StoreAnchors } from './tasks/anchor-store.ts'
import { CHECK_TICK_MS, ResidentCheck } from './tasks/check-resident-keys.ts'
import { DeletionJob } from './tasks/delete-due-keys.ts'
import { expireMaterial } from './tasks/expire-material.ts'
import { DOMAIN_LOOK_MS, DomainFollower } from './tasks/follow-domains.ts'
import { rotateDueKeys } from './tasks/rotate-due-keys.ts'
import { schedule } from './tasks/schedule.ts'
import { ROW_LOOK_MS, RowSweep } from './tasks/verify-rows.ts'
import { createLogger, type Logger } from './telemetry/logger.ts'
import { Metrics } from './telemetry/metrics.ts'
import type { Tracing } from './telemetry/tracing.ts'

export interface Daemon extends AsyncDisposable {
  /** `https://host:port` of the KMS API, or `http://…` without a certificate. */
  readonly endpoint: string
  readonly adminEndpoint: string
  readonly pools: ReadonlyMap<string, HsmPool>
  /** Resolves when every region has a token that can serve, and the key store is known to be no older one. */
  whenReady(timeoutMs: number): Promise<void>
  /** Reads the files of the certificate again; absent where plain HTTP is served. */
  readonly reloadCertificate?: () => void
  /** Deletes the keys that are due now, as the job does by itself. */
  deleteDueKeys(): Promise<number>
  /** Rotates the keys that are due now, as the job does by itself. */
  rotateDueKeys(): Promise<number>
  /** Deletes imported material and wrapping keys that are due now, as the job does by itself. */
  expireMaterial(): Promise<number>
}

const ROWS_WITHOUT_MACS =
  'some records of the key store carry no MACs: run "strongroom init", which signs them as they are, before the daemon starts'
const DRAIN_MS = 10_000
/** How old the last use of an access key or a KMS key may be in the store. */
const USES_INTERVAL_MS = 60_000

/** Builds and starts a daemon. Throws {@link NotReady} when an operator has to do something first. */
export async function compose(
  configuration: Configuration,
  { clock = systemClock, logger = createLogger(configuration.log.level) }: { clock?: Clock; logger?: Logger } = {},
): Promise<Daemon> {
  await using parts = new AsyncDisposableStack()
  const state = openStateFolder(configuration.stateDir)
  await requireNoOtherDaemon(state.adminSocket)
  const metrics = new Metrics({ accountLabels: configuration.telemetry.accountLabels })
  const telemetry = { logger, metrics }
  const tracing = await composeTracing(configuration.telemetry.otlp, logger)
  if (tracing !== undefined) parts.use(tracing)
  const pools = new Map<string, HsmPool>()
  const pending = new PendingEvents()
  let audit: Audit | undefined
  const rows = protectRows(
    { home: homeOf(configuration), poolOf: region => pools.get(region) },
    {
      ...{ metrics, logger },
      // Of a record that is refused before there is a log, the log of this program tells.
      onRefused: parameters => void audit?.recorder.note({ name: 'StoredRecordRefused', parameters }).catch(() => {}),
    },
  )
  const cachedKeys = configuration.store.cachedRecords
  const store = await openStore({ path: state.store, cachedKeys, rows, events: pending, metrics })
  parts.defer(() => store.close())

  parts.defer(async () => void (await Promise.all([...pools.values()].map(pool => pool.close()))))
  for (const region of configuration.regions) {
    pools.set(region.name, await composePool(region, configuration, { store, metrics, logger, tracing }))
  }
  if (!(await store.rowMacs.areComplete())) throw new NotReady(ROWS_WITHOUT_MACS)
  const daemonKeys = await findDaemonKeys(store)
  const home = daemonKeys && pools.get(daemonKeys.identity.region)
  if (daemonKeys === undefined || home === undefined)
    throw new NotReady('the daemon\'s own keys or the first user are missing: run "strongroom init" first')

  audit = await composeAudit({
    ...{ folder: state.audit, settings: configuration.audit, store, pending, home },
    ...{ clock, metrics, logger },
  })
  parts.use(audit)
  const { recorder, notary } = audit
  const lookup = { stored: store.audit, settle: () => notary.run() }

  const keyring = new Keyring({ pools, store, clock })
  const secrets = new Secrets(home, daemonKeys.identity, () => metrics.signingKeysOpened.inc())
  const sessions = new Sessions(home, daemonKeys)
  const identity = { store, clock }
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
  const deletion = new DeletionJob({ store, keyring, audit: recorder, clock, logger, metrics })
  const job = schedule('delete due keys', configuration.jobs.deletionIntervalMs, () => deletion.run(), telemetry)
  parts.defer(() => job.stop())
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
  const rotate = () => rotateDueKeys({ store, keyring, audit: recorder, clock, logger, metrics })
  const rotation = schedule('rotate due keys', configuration.jobs.rotationIntervalMs, rotate, telemetry)
  parts.defer(() => rotation.stop())
  const imports = new Imports({ pools, store, clock, inHostAllowed: configuration.hsm.importInHost })
  const expire = () => expireMaterial({ store, imports, audit: recorder, clock, logger, metrics })
  const expiry = schedule('expire imported material', configuration.jobs.expiryIntervalMs, expire, telemetry)
  parts.defer(() => expiry.stop())
  const residents = new ResidentCheck({ store, pools, clock, logger, metrics })
  const check = schedule('check resident keys', CHECK_TICK_MS, () => residents.run(), telemetry)
  parts.defer(() => check.stop())

  const sweep = new RowSweep({ store, metrics, ready: () => [...pools.values()].every(pool => pool.ready) })
  const verifying = schedule('verify stored records', ROW_LOOK_MS, () => sweep.run(), telemetry)
  parts.defer(() => verifying.stop())

  const storeAnchors = new StoreAnchors({
    ...{ store, metrics, logger, anchors: new PoolAnchors({ poolOf: region => pools.get(region) }) },
    ...{ regions: [...pools.values()], intervalMs: configuration.store.anchorIntervalMs },
  })
  const anchoring = schedule('anchor the key store', ANCHOR_LOOK_MS, () => storeAnchors.run(), telemetry)
  parts.defer(async () => {
    await anchoring.stop()
    await storeAnchors.end().catch((error: Error) => logger.warn('tokens were not told of the end', { error }))
  })

  const served = new Set(pools.keys())
  const { requests, ...quotas } = configuration.quotas
  const services = { store, keyring, imports, keyUses, access, quotas, clock }
  const { listen, admin } = configuration
  const administration = createAdminSocket({
    accounts: new Accounts(identity),
    identities: new Identities(identity),
    policies: new ManagedPolicies(identity),
    accessKeys: new AccessKeys({ store, secrets, clock }),
    accessKeyUses,
    applying: new Applying(identity),
    explanations: new Explanations({ access, reader: store.reader }),
    ...{ pools, residents, audit: recorder, logger },
    events: lookup,
  })
  const adminSocket = await listenOn(createServer(administration), { path: state.adminSocket })
  parts.defer(() => drain(adminSocket))
  chmodSync(state.adminSocket, 0o600)
  const callers = { secrets, sessions, accessKeyUses, throttle: new Throttle(requests, { metrics }) }
  const certificate = listen.tls.keyFile === '' ? undefined : new Certificate(listen.tls, telemetry)
  const api = createApiServer(
    { services, ...callers, regions: served, audit: recorder, lookup, metrics, logger, tracing },
    certificate?.options,
  )
  const connections = () => countConnections(api)
  const obstacles = () => storeAnchors.obstacles
  const adminApp = createAdminListener({ metrics, pools, store, connections, audit, obstacles })
  const adminListener = await listenOn(createServer(adminApp), admin)
  parts.defer(() => drain(adminListener))
  const renew = (options: SecureContextOptions) => {
    if (api instanceof TlsServer) api.setSecureContext(options)
  }
  if (certificate !== undefined) parts.defer(certificate.watch(renew))
  else if (!loopback(listen.host))
    logger.warn('plain HTTP beyond loopback: anybody on the way reads secrets and plaintext')
  await listenOn(api, listen)
  parts.defer(() => drain(api))
  const owned = parts.move()
  return {
    endpoint: addressOf(api),
    adminEndpoint: addressOf(adminListener),
    pools,
    async whenReady(timeoutMs) {
      await Promise.all([...pools.values()].map(pool => pool.whenReady(timeoutMs)))
      await storeAnchors.compare()
    },
    deleteDueKeys: () => deletion.run(),
    ...(certificate === undefined ? {} : { reloadCertificate: () => certificate.reload(renew) }),
    rotateDueKeys: rotate,
    expireMaterial: expire,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** The packages of OpenTelemetry take memory and time to load: only who traces has them. */
async function composeTracing(otlp: Configuration['telemetry']['otlp'], logger: Logger): Promise<Tracing | undefined> {
  if (otlp.endpoint === '') return undefined
  const { OtlpTracing } = await import('./telemetry/otlp.ts')
  return new OtlpTracing(otlp, logger)
}

async function listenOn<S extends Server | TlsServer>(
  server: S,
  where: { host: string; port: number } | { path: string },
): Promise<S> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, where)))
    server.listen(where, resolve)
  })
  return server
}

function explain(error: NodeJS.ErrnoException, where: { host: string; port: number } | { path: string }): Error {
  if (!('port' in where)) return error
  if (error.code === 'EADDRINUSE')
    return new NotReady(`port ${where.port} on ${where.host} is taken by another process`)
  if (error.code === 'EACCES') return new NotReady(`port ${where.port} on ${where.host} may not be used by this user`)
  return error
}

function countConnections(server: Server | TlsServer): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
  })
}

async function drain(server: Server | TlsServer): Promise<void> {
  const closed = new Promise(resolve => server.close(resolve))
  server.closeIdleConnections()
  const impatience = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
  await closed
  clearTimeout(impatience)
}

function addressOf(server: Server | TlsServer): string {
  const { address, family, port } = server.address() as AddressInfo
  const scheme = server instanceof TlsServer ? 'https' : 'http'
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}

/** One daemon for one state folder: whoever answers on its admin socket has it; a socket without a listener is left over. */
async function requireNoOtherDaemon(socketPath: string): Promise<void> {
  if (!existsSync(socketPath)) return
  const answered = await new Promise<boolean>(resolve => {
    const socket = connect(socketPath)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
  if (answered) throw new NotReady(`a daemon is running with this state folder (it answers on ${socketPath})`)
  rmSync(socketPath, { force: true })
}
