/**
 * Builds the audit log and joins it to key store and token. Each process of the daemon writes a chain of its own: that of the first
 * process names the ends of those that the daemon before has left, and where those of its service processes stand.
 */
import type { AuditRecorder } from './audit/recorder.ts'
import { type ChainPlace, recoverDaemon, recoverProcess } from './audit/recovery.ts'
import { sharedBy } from './audit/refusals.ts'
import { DAY_MS } from './base/clock.ts'
import { type AuditParts, type Chain, type ChainOptions, composeChain } from './compose-chain.ts'
import { composeForwarding } from './compose-forwarding.ts'
import { serviceProcessesOf } from './config/schema.ts'
import type { ChainHead } from './formats/audit-chain.ts'
import { schedule } from './tasks/schedule.ts'

/** The audit log as all of the daemon's processes write it. */
export interface Audit extends AsyncDisposable {
  readonly recorder: AuditRecorder
  /** Why events cannot be recorded somewhere; undefined when they can. */
  readonly failure: { readonly reason: string } | undefined
  /** Has what is written already put where it is looked for. */
  settle(): Promise<void>
  /** Brings the gauges up to date, for a scrape. */
  report(): void
}

/** The service processes, as far as their chains go. */
export interface OtherChains {
  readonly chains: {
    heads(): readonly ChainHead[]
    isOpen(chain: string): boolean
    readonly failure: { readonly reason: string } | undefined
  }
  /** Has what they have written put where it is looked for. */
  settle(): Promise<void>
}

const EXPIRE_MS = 600_000
const BYTES_PER_MB = 1_048_576

/** Begins the chain of the daemon's first process. Throws {@link NotReady} when its first event cannot be written. */
export async function composeAudit(parts: AuditParts, others?: OtherChains): Promise<Audit> {
  const { folder, configuration, store, clock, metrics, logger } = parts
  const settings = configuration.audit
  const stored = store.audit
  const startedAtMs = clock()
  const keptMs = settings.storeDays * DAY_MS
  const { own, processes } = await recoverDaemon(
    { folder, storage: stored, nowMs: startedAtMs },
    { keptSinceMs: startedAtMs - keptMs },
  )
  const chain = await composeChain(parts, {
    startedAtMs,
    begins: { previous: own ?? null, ...(processes.length === 0 ? {} : { others: processes }) },
    refusals: settings.unprovenRefusals,
    ...(others === undefined ? {} : { others: () => others.chains.heads() }),
    isOurs: id => id === null || others?.chains.isOpen(id) !== true,
  })
  const count = serviceProcessesOf(configuration.listen.processes)
  const forwarding = await composeForwarding({
    ...{ folder, settings: settings.forward, processes: count === 1 ? 0 : count, stored, metrics, logger },
  })
  const expire = () => stored.expire(clock() - keptMs, settings.storeMaxMb * BYTES_PER_MB)
  const expiring = schedule('expire stored audit events', EXPIRE_MS, expire, { logger, metrics })
  return {
    recorder: chain.recorder,
    get failure() {
      return chain.log.failure ?? others?.chains.failure
    },
    async settle() {
      await Promise.all([chain.notary.run(), others?.settle()])
    },
    report() {
      chain.report()
      forwarding.report()
    },
    async [Symbol.asyncDispose]() {
      await expiring.stop()
      await chain[Symbol.asyncDispose]()
      await forwarding[Symbol.asyncDispose]()
    },
  }
}

/**
 * Begins the chain of a service process, and closes that of the one before in its place. `onTended` has heard of it when this resolves.
 * Throws {@link NotReady} when its first event cannot be written.
 */
export async function composeProcessAudit(
  parts: AuditParts,
  place: ChainPlace & Required<Pick<ChainOptions, 'requireOwner' | 'onTended'>>,
): Promise<Chain> {
  const { daemon, process, requireOwner, onTended } = place
  const { folder, configuration, store, clock } = parts
  const startedAtMs = clock()
  const left = { folder, storage: store.audit, nowMs: startedAtMs }
  const previous = await recoverProcess(left, { daemon, process })
  const chain = await composeChain(parts, {
    ...{ startedAtMs, process, requireOwner, onTended },
    isOurs: id => id === parts.pending.chain,
    begins: { previous: previous ?? null, daemon, process },
    refusals: sharedBy(serviceProcessesOf(configuration.listen.processes), configuration.audit.unprovenRefusals),
  })
  await onTended(chain)
  return chain
}
