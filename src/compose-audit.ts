/** Builds the audit log and joins it to key store and token: a chain for each daemon start, which names the end of the one before. */
import { randomBytes } from 'node:crypto'
import { readFileSync, statfsSync } from 'node:fs'
import { isIP } from 'node:net'
import { type ActFacts, actEvent } from './audit/events.ts'
import { Forwarder, type Sink } from './audit/forwarder.ts'
import { httpSink } from './audit/http-sink.ts'
import { ITSELF } from './audit/identity.ts'
import { AuditLog } from './audit/log.ts'
import { LogFiles } from './audit/log-files.ts'
import { Notary } from './audit/notary.ts'
import type { PendingEvents } from './audit/pending.ts'
import { AuditRecorder } from './audit/recorder.ts'
import { type Recovered, recoverPrevious } from './audit/recovery.ts'
import { UnprovenRefusals } from './audit/refusals.ts'
import { syslogSink } from './audit/syslog-sink.ts'
import { type Clock, DAY_MS } from './base/clock.ts'
import { NotReady } from './compose-pools.ts'
import type { Configuration } from './config/schema.ts'
import { CHAIN_ID_BYTES } from './formats/audit-chain.ts'
import { NO_ANCHOR } from './formats/audit-checkpoint.ts'
import type { HsmPool } from './hsm/pool/pool.ts'
import { signCheckpoint } from './keyring/checkpoint-signer.ts'
import type { Store } from './store/store.ts'
import type { StoredAudit } from './store/stored-audit.ts'
import { schedule } from './tasks/schedule.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'

export interface Audit extends AsyncDisposable {
  readonly log: AuditLog
  readonly recorder: AuditRecorder
  readonly notary: Notary
  /** Brings the gauges up to date, for a scrape. */
  report(): void
}

export interface AuditParts {
  readonly folder: string
  readonly settings: Configuration['audit']
  readonly store: Store
  readonly pending: PendingEvents
  /** Whose tokens sign checkpoints. */
  readonly home: Pick<HsmPool, 'call' | 'region'>
  readonly clock: Clock
  readonly metrics: Metrics
  readonly logger: Logger
}

const EXPIRE_MS = 600_000
/** More than daemons and ceremonies leave behind. */
const PENDING_MAX = 100_000
const FORWARD_MS = 500
const MS_PER_SECOND = 1_000
const BYTES_PER_MB = 1_048_576

/** Starts the chain of this daemon. Throws {@link NotReady} when its first event cannot be written. */
export async function composeAudit(parts: AuditParts): Promise<Audit> {
  const { folder, settings, store, pending, home, clock, metrics, logger } = parts
  const itself = { identity: ITSELF, region: home.region }
  const act = (facts: Omit<ActFacts, 'identity' | 'region'>) => ({ ...facts, ...itself })
  const startedAtMs = clock()
  const recovered = await recoverPrevious(folder, store.audit, startedAtMs)
  if (recovered !== undefined) await storeRecovered(store.audit, recovered)
  const chain = randomBytes(CHAIN_ID_BYTES).toString('hex')
  const { maxFileMb, syncToDisk } = settings
  const files = new LogFiles({ folder, chain, startedAtMs, maxBytes: maxFileMb * BYTES_PER_MB, syncToDisk })
  const log: AuditLog = new AuditLog({
    ...{ files, chain, clock },
    onWritten: () => notary.written(),
    onFailed({ reason }) {
      metrics.auditFailures.inc({ part: 'write' })
      logger.error('the audit log cannot be written: nothing that needs recording is done', { reason })
    },
    resumed({ reason, sinceMs }, refused) {
      logger.warn('the audit log can be written again', { reason, refused })
      const parameters = { reason, since: new Date(sinceMs).toISOString(), refusedRequests: refused }
      return actEvent(act({ name: 'AuditLogResumed', parameters }), clock())
    },
  })
  for (const part of ['write', 'checkpoint', 'store']) metrics.auditFailures.inc({ part }, 0)
  const refusals = new UnprovenRefusals({
    rates: settings.unprovenRefusals,
    onCounted: () => metrics.auditRefusalsCounted.inc(),
  })
  const recorder = new AuditRecorder({ log, pending, clock, refusals })
  const notary = new Notary({
    ...{ log, recorder, storage: store.audit, clock },
    sign: claims => signCheckpoint(home, claims),
    anchor: () => store.rowMacs.newestAnchorOf(home.region) ?? NO_ANCHOR,
    onTrouble(part, error) {
      if (error === undefined) return logger.info('the audit log goes on', { part })
      metrics.auditFailures.inc({ part })
      logger.error('the audit log waits for a part of it', { part, reason: error.message })
    },
  })
  try {
    await log.start()
    const previous = recovered?.previous ?? null
    await recorder.note(act({ name: 'AuditLogStarted', parameters: { chain, previous } }))
  } catch (error) {
    throw new NotReady(`the audit log in ${folder} cannot be written: ${(error as Error).message}`)
  }
  const tend = async () => {
    await log.tend()
    if (log.failure === undefined) {
      await recorder.chainLeftovers(store.audit).catch(() => {})
      await recorder.noteRefusals(itself).catch(() => {})
    }
    await notary.run()
  }
  const tending = schedule('tend the audit log', settings.checkpointIntervalMs, tend, { logger, metrics })
  const forwarders = sinksOf(settings.forward).map(
    sink =>
      new Forwarder({
        ...{ folder, sink, storage: store.audit },
        onTrouble(error) {
          if (error === undefined) return logger.info('audit events are forwarded again', { sink: sink.name })
          metrics.auditFailures.inc({ part: sink.name })
          logger.warn('audit events are not forwarded: they wait in the files of the log', {
            ...{ sink: sink.name, reason: error.message },
          })
        },
      }),
  )
  const forwarding = forwarders.map(forwarder =>
    schedule(`forward audit events by ${forwarder.sink}` as const, FORWARD_MS, () => forwarder.run(), {
      logger,
      metrics,
    }),
  )
  const expire = () => store.audit.expire(clock() - settings.storeDays * DAY_MS, settings.storeMaxMb * BYTES_PER_MB)
  const expiring = schedule('expire stored audit events', EXPIRE_MS, expire, { logger, metrics })
  return {
    ...{ log, recorder, notary },
    report() {
      metrics.auditWritable.set(log.failure === undefined ? 1 : 0)
      // What the log waits to store is tried every second, so that this process always knows.
      metrics.storeWritable.set(store.unwritable === undefined ? 1 : 0)
      metrics.auditUncoveredEvents.set(notary.uncoveredEvents)
      metrics.auditCovered.set(notary.coveredAtMs / MS_PER_SECOND)
      reportDisk(folder, metrics)
      metrics.auditUnstoredBytes.set(log.unstoredBytes)
      metrics.auditEvents.set(log.head.seq)
      for (const { sink, lagBytes } of forwarders) metrics.auditForwardLagBytes.set({ sink }, lagBytes)
    },
    async [Symbol.asyncDispose]() {
      await expiring.stop()
      await tending.stop()
      await recorder.noteRefusals(itself, { now: true }).catch(() => {})
      await recorder.note(act({ name: 'AuditLogStopped' })).catch(() => {})
      await notary.run()
      await log.close()
      await Promise.all(forwarding.map(each => each.stop()))
      for (const forwarder of forwarders) {
        await forwarder.run({ confirm: true })
        forwarder.close()
      }
    },
  }
}

/** A disk that does not answer has no numbers: that it cannot be written is told otherwise. */
function reportDisk(folder: string, metrics: Metrics): void {
  try {
    const { bsize, blocks, bavail } = statfsSync(folder)
    metrics.auditDiskBytes.set({ what: 'size' }, bsize * blocks)
    metrics.auditDiskBytes.set({ what: 'free' }, bsize * bavail)
  } catch {
    metrics.auditDiskBytes.reset()
  }
}

/** Events that the files hold are no longer pending, and lines that the key store has not got are stored. */
async function storeRecovered(stored: StoredAudit, { unstored, eventIds }: Recovered): Promise<void> {
  const pending = await stored.pendingEvents(PENDING_MAX)
  // First: what ended here would otherwise be chained twice.
  await stored.forgetPending(pending.map(({ id }) => id).filter(id => eventIds.has(id)))
  for (const block of unstored) await stored.addBlock(block, [])
}

/** Reads the files that the settings name. Throws {@link NotReady} when one cannot be read. */
function sinksOf({ syslog, http }: Configuration['audit']['forward']): Sink[] {
  const { host, port } = syslog
  const bearer = read(http.tokenFile)?.toString('utf8').trim()
  return [
    ...(host === ''
      ? []
      : [
          syslogSink({
            ...{ host, port, servername: isIP(host) === 0 ? host : '' },
            ...certificates({ ca: syslog.caFile, cert: syslog.certificateFile, key: syslog.keyFile }),
          }),
        ]),
    ...(http.url === '' ? [] : [httpSink(new URL(http.url), bearer, certificates({ ca: http.caFile }))]),
  ]
}

function certificates(files: Readonly<Record<string, string>>): Record<string, Buffer> {
  return Object.fromEntries(
    Object.entries(files).flatMap(([name, path]) => {
      const pem = read(path)
      return pem === undefined ? [] : [[name, pem] as const]
    }),
  )
}

function read(path: string): Buffer | undefined {
  if (path === '') return undefined
  try {
    return readFileSync(path)
  } catch (error) {
    throw new NotReady(`audit.forward: cannot read ${path}: ${(error as NodeJS.ErrnoException).code}`)
  }
}
