/**
 * The only place that builds the daemon's parts and joins them. Disposing of a daemon drains it: no new connection, the
 * requests in hand answered, the hosts ended, the store closed.
 */
import { chmodSync } from 'node:fs'
import { createServer } from 'node:http'
import { createAdminListener } from './admin/admin-listener.ts'
import { createAdminSocket } from './admin/admin-socket.ts'
import { Explanations } from './admin/explanations.ts'
import { Throttle } from './api/throttle.ts'
import { type Clock, systemClock } from './base/clock.ts'
import { type Audit, composeAudit } from './compose-audit.ts'
import { type FolderWait, holdStateFolder } from './compose-folder.ts'
import { type ApiListener, addressOf, drain, listenForRequests, listenOn } from './compose-listener.ts'
import { NotReady } from './compose-pools.ts'
import { composeServices } from './compose-services.ts'
import { type Configuration, loopback, serviceProcessesOf } from './config/schema.ts'
import { openStateFolder } from './config/state-folder.ts'
import type { HsmPool } from './hsm/pool/pool.ts'
import { AccessKeys } from './identities/access-keys.ts'
import { Accounts } from './identities/accounts.ts'
import { Applying } from './identities/apply.ts'
import { Identities } from './identities/identities.ts'
import { ManagedPolicies } from './identities/managed-policies.ts'
import { PoolAnchors } from './keyring/anchors.ts'
import { deskOf } from './processes/first-desk.ts'
import { ServiceProcesses } from './processes/service-processes.ts'
import { ANCHOR_LOOK_MS, StoreAnchors } from './tasks/anchor-store.ts'
import { CHECK_TICK_MS, ResidentCheck } from './tasks/check-resident-keys.ts'
import { DeletionJob } from './tasks/delete-due-keys.ts'
import { expireMaterial } from './tasks/expire-material.ts'
import { rotateDueKeys } from './tasks/rotate-due-keys.ts'
import { schedule } from './tasks/schedule.ts'
import { ROW_LOOK_MS, RowSweep } from './tasks/verify-rows.ts'
import { createLogger, type Logger } from './telemetry/logger.ts'

export interface Daemon extends AsyncDisposable {
  /** `https://host:port` of the KMS API, or `http://…` without a certificate. */
  readonly endpoint: string
  readonly adminEndpoint: string
  readonly pools: ReadonlyMap<string, HsmPool>
  /** The processes that take connections, where they are not this one. */
  readonly servicePids: readonly number[]
  /** The processes of all hosts, once {@link whenReady} has resolved. */
  readonly hsmHostPids: readonly number[]
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

/** Builds and starts a daemon. Throws {@link NotReady} when an operator has to do something first. */
export async function compose(
  configuration: Configuration,
  { clock = systemClock, logger = createLogger(configuration.log.level) }: { clock?: Clock; logger?: Logger } = {},
): Promise<Daemon> {
  await using parts = new AsyncDisposableStack()
  const state = openStateFolder(configuration.stateDir)
  // Given back when all else has ended. Service processes belong to this one, and hold nothing.
  const waiting = (wait: FolderWait) => logger.warn('waiting for the state folder', { ...wait })
  parts.use(await holdStateFolder(state, waiting))
  const count = serviceProcessesOf(configuration.listen.processes)
  const processes = count === 1 ? undefined : new ServiceProcesses(count, configuration, logger)
  let audit: Audit | undefined
  const services = parts.use(
    await composeServices(configuration, {
      ...{ clock, logger, storePath: state.store, siblings: processes },
      // Of a record that is refused before there is a log, the log of this program tells.
      onRefused: parameters => void audit?.recorder.note({ name: 'StoredRecordRefused', parameters }).catch(() => {}),
    }),
  )
  const { metrics, pending, store, pools, keyring, imports, secrets, accessKeyUses, access } = services
  const telemetry = { logger, metrics }
  audit = parts.use(await composeAudit({ ...services, folder: state.audit }, processes))
  const { recorder, settle } = audit
  const lookup = { stored: store.audit, settle }

  const deletion = new DeletionJob({ store, keyring, audit: recorder, clock, logger, metrics })
  const job = schedule('delete due keys', configuration.jobs.deletionIntervalMs, () => deletion.run(), telemetry)
  parts.defer(() => job.stop())
  const rotate = () => rotateDueKeys({ store, keyring, audit: recorder, clock, logger, metrics })
  const rotation = schedule('rotate due keys', configuration.jobs.rotationIntervalMs, rotate, telemetry)
  parts.defer(() => rotation.stop())
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

  const identity = { store, clock }
  const { listen, admin } = configuration
  const administration = createAdminSocket({
    accounts: new Accounts(identity),
    identities: new Identities(identity),
    policies: new ManagedPolicies(identity),
    accessKeys: new AccessKeys({ store, secrets, clock }),
    accessKeyUses,
    applying: new Applying(identity),
    explanations: new Explanations({ access, reader: store.reader }),
    ...{ pools, residents, audit: recorder, logger, others: processes },
    events: lookup,
  })
  const adminSocket = await listenOn(createServer(administration), { path: state.adminSocket })
  parts.defer(() => drain(adminSocket))
  chmodSync(state.adminSocket, 0o600)
  const obstacles = () => [
    ...[...storeAnchors.obstacles, ...(processes?.obstacles ?? [])],
    ...(store.view.obstacle === undefined ? [] : [store.view.obstacle]),
  ]
  const throttle = new Throttle(configuration.quotas.requests, { metrics })
  if (listen.tls.keyFile === '' && !loopback(listen.host))
    logger.warn('plain HTTP beyond loopback: anybody on the way reads secrets and plaintext')
  let api: ApiListener | undefined
  const connections = async () => (await api?.connections()) ?? 0
  const unwritable = () => store.unwritable ?? processes?.chains.unwritable
  const adminApp = createAdminListener({
    ...{ metrics, pools, store, connections, audit, obstacles, unwritable, others: processes },
  })
  const adminListener = await listenOn(createServer(adminApp), admin)
  parts.defer(() => drain(adminListener))
  api =
    processes === undefined
      ? await listenForRequests({ services, listen, throttle, audit: recorder, lookup })
      : await processes.start(deskOf({ pending, settle, store, pools, throttle })).catch((error: Error) => {
          throw new NotReady(error.message)
        })
  parts.use(api)
  const { endpoint, reloadCertificate } = api
  let hostPids: readonly number[] = []
  const owned = parts.move()
  return {
    endpoint,
    adminEndpoint: addressOf(adminListener),
    pools,
    get servicePids() {
      return processes?.pids ?? []
    },
    get hsmHostPids() {
      return [...hostPids, ...[...pools.values()].flatMap(pool => pool.members.flatMap(({ pids }) => pids))]
    },
    async whenReady(timeoutMs) {
      await Promise.all([...pools.values()].map(pool => pool.whenReady(timeoutMs)))
      await storeAnchors.compare()
      if (processes !== undefined) hostPids = await processes.whenReady(timeoutMs)
    },
    deleteDueKeys: () => deletion.run(),
    ...(reloadCertificate === undefined ? {} : { reloadCertificate }),
    rotateDueKeys: rotate,
    expireMaterial: expire,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}
