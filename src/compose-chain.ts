/** Builds the audit log of one process: a chain of its own, its checkpoints, its copy in the key store. */
import { statfsSync } from 'node:fs'
import { type ActFacts, actEvent } from './audit/events.ts'
import { ITSELF } from './audit/identity.ts'
import { AuditLog } from './audit/log.ts'
import { LogFiles } from './audit/log-files.ts'
import { Notary } from './audit/notary.ts'
import { AuditRecorder } from './audit/recorder.ts'
import { type RefusalRates, UnprovenRefusals } from './audit/refusals.ts'
import { NotReady } from './compose-pools.ts'
import type { Services } from './compose-services.ts'
import type { ChainHead } from './formats/audit-chain.ts'
import { NO_ANCHOR } from './formats/audit-checkpoint.ts'
import { signCheckpoint } from './keyring/checkpoint-signer.ts'
import { schedule } from './tasks/schedule.ts'
import type { Metrics } from './telemetry/metrics.ts'

export interface AuditParts
  extends Pick<Services, 'configuration' | 'store' | 'pending' | 'home' | 'clock' | 'metrics' | 'logger'> {
  /** Where the files are. */
  readonly folder: string
}

export interface ChainOptions {
  /** When it begins. */
  readonly startedAtMs: number
  /** The number of the service process; absent in the first process of the daemon. */
  readonly process?: number
  /** Throws when the chain may have been closed by another process. */
  readonly requireOwner?: () => void
  /** What its first event says besides its id. */
  readonly begins: Readonly<Record<string, unknown>>
  readonly refusals: RefusalRates
  /** The heads of other chains, for checkpoints. */
  readonly others?: () => readonly ChainHead[]
  /** Whether to record the events that were left and that should stand in this chain; null where any will do. */
  readonly isOurs: (chain: string | null) => boolean
  /** Told again and again, once it is signed and stored, and a last time when the chain has ended. */
  readonly onTended?: (chain: Chain) => Promise<void>
}

/** Disposing of it ends the chain. */
export interface Chain extends AsyncDisposable {
  readonly log: AuditLog
  readonly recorder: AuditRecorder
  readonly notary: Notary
  /** Brings the gauges up to date, for a scrape. */
  report(): void
}

const MS_PER_SECOND = 1_000
const BYTES_PER_MB = 1_048_576

/** Begins a chain. Throws {@link NotReady} when its first event cannot be written. */
export async function composeChain(parts: AuditParts, options: ChainOptions): Promise<Chain> {
  const { folder, configuration, store, pending, home, clock, metrics, logger } = parts
  const { startedAtMs, process, begins, requireOwner, others, isOurs, onTended } = options
  const itself = { identity: ITSELF, region: home.region }
  const act = (facts: Omit<ActFacts, 'identity' | 'region'>) => ({ ...facts, ...itself })
  const { chain } = pending
  const { maxFileMb, syncToDisk, checkpointIntervalMs } = configuration.audit
  const files = new LogFiles({ folder, chain, process, startedAtMs, maxBytes: maxFileMb * BYTES_PER_MB, syncToDisk })
  const log: AuditLog = new AuditLog({
    ...{ files, chain, clock, ...(requireOwner === undefined ? {} : { requireOwner }) },
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
    rates: options.refusals,
    onCounted: () => metrics.auditRefusalsCounted.inc(),
  })
  const recorder = new AuditRecorder({ log, pending, clock, refusals })
  const notary = new Notary({
    ...{ log, recorder, storage: store.audit, clock },
    sign: claims => signCheckpoint(home, claims),
    anchor: () => store.rowMacs.newestAnchorOf(home.region) ?? NO_ANCHOR,
    ...(others === undefined ? {} : { others }),
    onTrouble(part, error) {
      if (error === undefined) return logger.info('the audit log goes on', { part })
      metrics.auditFailures.inc({ part })
      logger.error('the audit log waits for a part of it', { part, reason: error.message })
    },
  })
  try {
    await log.start()
    await recorder.note(act({ name: 'AuditLogStarted', parameters: { chain, ...begins } }))
  } catch (error) {
    throw new NotReady(`the audit log in ${folder} cannot be written: ${(error as Error).message}`)
  }
  const tend = async () => {
    await log.tend()
    if (log.failure === undefined) {
      await recorder.chainLeftovers(store.audit, isOurs).catch(() => {})
      await recorder.noteRefusals(itself).catch(() => {})
    }
    await notary.run()
    await onTended?.(built)
  }
  const built: Chain = {
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
    },
    async [Symbol.asyncDispose]() {
      await tending.stop()
      await recorder.noteRefusals(itself, { now: true }).catch(() => {})
      await recorder.note(act({ name: 'AuditLogStopped' })).catch(() => {})
      await notary.run()
      await onTended?.(built).catch(() => {})
      await log.close()
    },
  }
  const tending = schedule('tend the audit log', checkpointIntervalMs, tend, { logger, metrics })
  return built
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
