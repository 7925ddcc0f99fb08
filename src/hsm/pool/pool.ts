/**
 * The pool of one region: tokens that share a domain. It loses tokens and not requests: when a host ends or a token fails,
 * its commands are repeated on another, so that a caller sees a slower answer and no error. What a second doing makes, nobody
 * has recorded; the few commands that leave something behind are done once.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { Tracing } from '../../telemetry/tracing.ts'
import type { Args, CommandName, Result } from '../contract/commands.ts'
import type { HsmFault } from '../contract/fault.ts'
import type { DescribedDomains, DomainDescription } from '../contract/host-configuration.ts'
import { chooseLane, isServed } from './choice.ts'
import { Errand } from './errand.ts'
import type { Lane } from './lane.ts'
import { Member, type MemberEvents, type MemberLimits, type MemberStatus, type TokenSettings } from './member.ts'
import { PoolLog } from './pool-log.ts'
import { PoolMetrics } from './pool-metrics.ts'
import { Replacements } from './replacements.ts'
import { StaleErrands } from './stale-errands.ts'
import type { StartTurns } from './start-turns.ts'
import { type Sent, Waiting } from './waiting.ts'

/** The region has as many commands as it takes; the caller is told to slow down. */
export class PoolBusy extends Error {
  override readonly name = 'PoolBusy'
}

/** No token answered in time. */
export class PoolUnavailable extends Error {
  override readonly name: string = 'PoolUnavailable'
}

/** No token that holds an HBK could answer; those that could, for other keys, are no help. */
export class HoldersUnavailable extends PoolUnavailable {
  override readonly name = 'HoldersUnavailable'
}

export interface PoolSettings {
  readonly region: string
  readonly tokens: readonly TokenSettings[]
  /** Whether HBKs reside in the tokens, which cannot wrap them; false when absent. */
  readonly resident?: boolean
  /** Commands of the region, in flight and waiting together. */
  readonly maxCommands: number
  /** How long a command waits while no token can take it. */
  readonly maxWaitMs: number
  readonly healthIntervalMs: number
  /** The least that any command is given before its host counts as mute; 0 when absent. */
  readonly deadlineFloorMs?: number
  /** When a host is replaced by a fresh one; 0, or absent, for never. */
  readonly recycleAfterCommands?: number
  readonly recycleAfterMb?: number
  /** Reads the rows of the domains again, and calls {@link HsmPool.useDomain} with what they say. */
  readonly onStaleDomain?: () => Promise<void>
  /** The other processes of the daemon that work with the same tokens, when there are any. */
  readonly siblings?: PoolSiblings | undefined
}

/** Processes that have hosts of their own for the tokens of a pool. */
export interface PoolSiblings {
  readonly turns: StartTurns
  /** Resolves when no host of theirs holds the HBK. */
  evict(region: string, digest: Buffer): Promise<void>
}

export interface PoolToken {
  readonly serial: string
  readonly label: string
  /** Whether it can be given a command now. */
  readonly serving: boolean
  /** Whether HBKs may reside in it. */
  readonly keeps: boolean
}

/** Where a pool tells what it does. */
export interface PoolTelemetry {
  readonly metrics: Metrics
  readonly logger: Logger
  readonly tracing?: Tracing | undefined
}

const TICK_MS = 25
/** A tick that comes later than this says that this process did not run, and could not see what its hosts did meanwhile. */
const LATE_MS = 250
/** In hand at two host deaths, a command may be their cause, and is not repeated. */
const DEATHS_MAX = 2
/** Faults of tokens that a command may meet. Faults come and go; a command that always meets one is not served. */
const FAULTS_MAX = 4
const RECALLS_MAX = 2
/** A command that was not served in this time is given up, whatever the reason. */
const PATIENCE_MS = 10_000

export class HsmPool {
  readonly region: string
  readonly #settings: PoolSettings
  #members: readonly Member[]
  /** Members that finish what they have and end. */
  readonly #leaving = new Set<Promise<void>>()
  readonly #limits: MemberLimits
  readonly #memberEvents: MemberEvents
  readonly #metrics: PoolMetrics
  readonly #log: PoolLog
  readonly #tracing: Tracing | undefined
  readonly #waiting = new Waiting()
  readonly #timer: NodeJS.Timeout
  readonly #stale: StaleErrands
  readonly #replacements: Replacements
  /**
   * Of the commands that may have ended a host one is tried at a time: if another host ends, it was that one. The others on
   * that host are suspects then, for the first time. One that is settled, or that no host has in hand, is not being tried.
   */
  #suspect: Errand | undefined
  #tickedAtMs = performance.now()
  #outstanding = 0
  #turn = 0
  #closed = false

  /** For every command of {@link call}. */
  readonly #settled = (error?: Error): void => {
    this.#outstanding -= 1
    if (error instanceof PoolUnavailable) this.#metrics.refused('unavailable')
    else if (error instanceof PoolBusy) this.#metrics.refused('busy')
  }

  constructor(settings: PoolSettings, { metrics, logger, tracing }: PoolTelemetry) {
    this.region = settings.region
    this.#settings = settings
    this.#log = new PoolLog(logger, settings.region)
    this.#tracing = tracing
    const labels = settings.tokens.map(({ label }) => label)
    this.#metrics = new PoolMetrics(metrics, settings.region, labels)
    const { healthIntervalMs, deadlineFloorMs = 0, recycleAfterCommands = 0, recycleAfterMb = 0 } = settings
    const { turns } = settings.siblings ?? {}
    this.#limits = { healthIntervalMs, deadlineFloorMs, recycleAfterCommands, recycleAfterMb, turns }
    this.#stale = new StaleErrands({
      readDomain: () => this.#readDomain(),
      dispatch: errand => this.#dispatch(errand),
      lost: (member, errand, fault) => this.#lost(member, errand, fault, false),
    })
    this.#replacements = new Replacements((member, host, reason, error) => {
      if (error === undefined) this.#metrics.recycled(member)
      this.#log.recycled(member, host, reason, error)
    })
    this.#memberEvents = this.#events()
    this.#members = settings.tokens.map(token => this.#newMember(token))
    this.#timer = setInterval(() => this.#tick(), TICK_MS).unref()
  }

  /** Whether at least one token can serve. */
  get ready(): boolean {
    return this.#members.some(({ circuit }) => circuit.serving || circuit.takesTrials)
  }

  /** Whether its hosts know the domain that regions share. */
  get multiRegion(): boolean {
    return this.#members.some(({ domains }) => domains.multiRegionDomain !== undefined)
  }

  /** Whether every HBK of this region stays in the token that made it. */
  get resident(): boolean {
    return this.#settings.resident ?? false
  }

  /** The tokens that have told their profile so far. */
  get tokens(): readonly PoolToken[] {
    return this.#members.flatMap(({ profile, label, circuit }) => {
      if (profile === undefined) return []
      const keeps = this.resident || Object.values(profile.privateKeys).includes('resident')
      return [{ serial: profile.serial, label, serving: circuit.serving || circuit.takesTrials, keeps }]
    })
  }

  get members(): readonly Pick<Member, 'label' | 'uri' | 'state' | 'pids' | 'inFlight' | 'profile' | 'restarts'>[] {
    return this.#members
  }

  status(): MemberStatus[] {
    return this.#members.map(member => member.status())
  }

  /**
   * Runs a command on a token; `serials` names the only ones that can serve it: when absent, those that hold its HBKs. Throws
   * HsmFault `input` or `key` when the command itself is at fault, {@link PoolBusy} beyond the bound, {@link PoolUnavailable}
   * when no token could answer.
   */
  call<C extends CommandName>(
    name: C,
    args: Args<C>,
    { serials }: { serials?: readonly string[] | undefined } = {},
  ): Promise<Result<C>> {
    if (this.#outstanding >= this.#settings.maxCommands) {
      this.#metrics.refused('busy')
      return Promise.reject(new PoolBusy(`region ${this.region} has all it takes`))
    }
    this.#outstanding += 1
    const options = { serials, trace: this.#tracing?.current(), onSettled: this.#settled }
    const errand = new Errand(name, args as Args<CommandName>, options)
    this.#dispatch(errand)
    return errand.result as Promise<Result<C>>
  }

  /** Tells every host, those of siblings too, to let go of an HBK. A host that is down holds none. */
  async evict(digest: Buffer): Promise<void> {
    await Promise.all([this.evictHere(digest), this.#settings.siblings?.evict(this.region, digest)])
  }

  /** The same of the hosts of this process alone. */
  async evictHere(digest: Buffer): Promise<void> {
    await Promise.all(this.#members.map(member => member.onEveryLane('evict', { digest })))
  }

  /**
   * Gives the hosts other descriptions of the domain, and of the one that regions share: each is replaced by a fresh one, one
   * after another in the region, and no command is lost. Rejects with {@link PoolUnavailable}, naming the tokens, when some host
   * could not be replaced: it goes on with what it knew. A token that is down gets the descriptions when it comes back.
   */
  async useDomain(domain: DomainDescription, multiRegionDomain?: DomainDescription): Promise<void> {
    const described: DescribedDomains = { domain, multiRegionDomain }
    const known = this.#members.every(({ domains }) => isDeepStrictEqual(domains, described))
    if (!known) {
      this.#stale.described(generation => {
        for (const member of this.#members) member.describe(described, generation)
      })
    }
    const failed = await this.#replacements.renew(() => this.#members)
    if (failed.length > 0) throw new PoolUnavailable(`hosts could not be replaced: ${failed.join('; ')}`)
  }

  /**
   * Has the pool consist of these tokens and no others. One that is not among them is given nothing any more, finishes what
   * it has, and its hosts end; one that was not there before is started.
   */
  useTokens(tokens: readonly TokenSettings[]): void {
    const wanted = new Set(tokens.map(uriOf))
    const leaving = this.#members.filter(({ uri }) => !wanted.has(uri))
    const held = new Set(this.#members.map(({ uri }) => uri))
    const joining = tokens.filter(token => !held.has(uriOf(token)))
    if (this.#closed || leaving.length + joining.length === 0) return
    this.#members = [
      ...this.#members.filter(member => !leaving.includes(member)),
      ...joining.map(token => this.#newMember(token)),
    ]
    for (const member of leaving) {
      const gone = this.#leave(member).finally(() => this.#leaving.delete(gone))
      this.#leaving.add(gone)
    }
  }

  /** An operator says that a token's PIN may be tried again. False when no token of that label is locked out. */
  unlock(label: string): boolean {
    return this.#members.filter(member => member.label === label && member.unlock()).length > 0
  }

  /**
   * Resolves when a token can serve and none is still starting. Rejects with {@link PoolUnavailable}, which says why, after
   * `timeoutMs`, or when none will: each is locked out, or could not be opened `failedStartsMax` times in a row.
   */
  async whenReady(timeoutMs: number, failedStartsMax = Number.POSITIVE_INFINITY): Promise<void> {
    const until = performance.now() + timeoutMs
    while (!this.ready || this.#members.some(({ state }) => state === 'starting')) {
      const hopeless = this.#members.every(
        ({ state, failedStarts }) => state === 'locked-out' || failedStarts >= failedStartsMax,
      )
      if (hopeless || this.#closed || performance.now() > until) {
        const reasons = this.#members.map(({ label, circuit }) => `${label}: ${circuit.reason}`).join('; ')
        throw new PoolUnavailable(`no token of region ${this.region} can serve (${reasons})`)
      }
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    for (const errand of this.#waiting.take(() => true)) errand.reject(new PoolUnavailable('the pool is closing'))
    await Promise.all([...this.#members.map(member => member.close()), ...this.#leaving])
  }

  /** Brings the gauges up to date, for a scrape. */
  report(): void {
    const figures = { waiting: this.#waiting.size, limit: this.#settings.maxCommands, ready: this.ready }
    this.#metrics.report(this.#members, figures)
  }

  #newMember(token: TokenSettings): Member {
    return new Member(token, this.#limits, this.#memberEvents, Math.random, this.#stale.generation)
  }

  async #leave(member: Member): Promise<void> {
    await member.close()
    this.#metrics.left(member)
    this.#log.left(member)
  }

  #events(): MemberEvents {
    return {
      stateChanged: member => {
        this.#metrics.stateChanged(member)
        this.#log.stateChanged(member)
      },
      freed: () => this.#drain(),
      answered: (member, errand, microseconds, nowMs) => this.#metrics.answered(member, errand, microseconds, nowMs),
      faulted: (member, fault) => this.#metrics.faulted(member, fault),
      lost: (member, errand, fault, suspect) => this.#lost(member, errand, fault, suspect),
      estranged: () => this.#stale.readAgain(),
      stale: (member, errand, fault) => {
        this.#letGo(errand)
        this.#stale.park(member, errand, fault)
      },
      restarted: member => this.#metrics.restarted(member),
      worn: (member, host, reason) => this.#replacements.recycle(member, host, reason),
      probed: (member, passed) => this.#metrics.probed(member, passed),
      progressed: (member, progress) => this.#metrics.progressed(member, progress),
      profiled: (member, profile) => this.#log.profiled(member, profile),
      traced: ({ label: token }, { pid }, { context, ...span }) =>
        this.#tracing?.host({ ...span, context: Buffer.from(context, 'hex'), region: this.region, token, pid }),
      output: (member, line) => this.#log.output(member, line),
    }
  }

  /** Sends a command that no host has in hand, or has it wait. */
  #dispatch(errand: Errand): void {
    this.#letGo(errand)
    if (this.#offer(errand) === 'sent') return
    if (this.#crowdsOut(errand))
      errand.reject(new PoolBusy(`region ${this.region} has all it keeps for tokens that are away`))
    else this.#waiting.add(errand)
  }

  /** Commands for HBKs whose token is away wait for it, and leave half of the room to the others. */
  #crowdsOut(errand: Errand): boolean {
    if (errand.serials === undefined || this.#waiting.size < this.#settings.maxCommands / 2) return false
    return !isServed(this.#members, errand)
  }

  #offer(errand: Errand): Sent {
    if (this.#closed) errand.reject(new PoolUnavailable('the pool is closing'))
    if (errand.settled) return 'sent'
    if (errand.deaths > 0 && this.#suspect !== undefined && !this.#suspect.settled) return 'not-this'
    this.#turn += 1
    const lane = chooseLane(this.#members, errand, this.#turn)
    if (lane !== undefined) this.#send(errand, lane)
    else if (errand.deaths > 0 || errand.serials !== undefined || errand.generation > 0) return 'not-this'
    else return 'full'
    return 'sent'
  }

  #send(errand: Errand, lane: Lane): void {
    if (errand.deaths > 0) this.#suspect = errand
    try {
      lane.send(errand)
    } catch (error) {
      // A field out of its bounds: the command's own.
      errand.reject(error as Error)
    }
  }

  /** No host has it in hand any more: another suspect may be tried. */
  #letGo(errand: Errand): void {
    if (this.#suspect === errand) this.#suspect = undefined
  }

  #drain(): void {
    if (this.#waiting.size === 0) return
    this.#waiting.drain(errand => {
      const sent = this.#offer(errand)
      if (sent === 'sent') this.#metrics.waited(performance.now() - errand.startedAtMs)
      return sent
    })
  }

  #lost(member: Member, errand: Errand, fault: HsmFault, suspect: boolean): void {
    if (errand.settled) return
    if (suspect) errand.deaths += 1
    else if (fault.kind !== 'module') errand.faults += 1
    errand.lastFault = { label: member.label, reason: fault.reason }
    const late = performance.now() - errand.startedAtMs > PATIENCE_MS
    if (late || errand.once || errand.deaths >= DEATHS_MAX || errand.faults >= FAULTS_MAX) {
      errand.reject(new PoolUnavailable(fault.message, { cause: fault }))
      return
    }
    this.#metrics.repeated(member)
    this.#dispatch(errand)
  }

  async #readDomain(): Promise<void> {
    try {
      await this.#settings.onStaleDomain?.()
    } catch (error) {
      this.#log.domainUnread(error)
    }
  }

  /** What is due: mute hosts, lanes that do not move, commands that have waited for too long. */
  #tick(): void {
    const nowMs = performance.now()
    const lateMs = nowMs - this.#tickedAtMs - TICK_MS
    this.#tickedAtMs = nowMs
    for (const member of this.#members) {
      if (lateMs > LATE_MS) member.excuse(lateMs)
      member.tick(nowMs)
    }
    for (const member of this.#members) for (const lane of member.stalledLanes(nowMs)) this.#recall(member, lane)
    const { maxWaitMs } = this.#settings
    const expired = this.#waiting.take(errand => {
      const waitedMs = nowMs - errand.startedAtMs
      return waitedMs > PATIENCE_MS || (waitedMs > maxWaitMs && !isServed(this.#members, errand))
    })
    for (const errand of expired) {
      const { serials, lastFault } = errand
      const which = serials === undefined ? '' : ` that holds the HBK (${serials.join(', ')})`
      const reason = lastFault === undefined ? '' : `: ${lastFault.reason}`
      const message = `no token of region ${this.region}${which} can serve${reason}`
      errand.reject(serials === undefined ? new PoolUnavailable(message) : new HoldersUnavailable(message))
    }
    this.#drain()
  }

  /** Has commands that wait behind one that takes long done elsewhere, where there is room for them. */
  #recall(member: Member, stalled: Lane): void {
    const recalled = stalled.recall(
      errand =>
        !errand.pinned &&
        !errand.once &&
        errand.recalls < RECALLS_MAX &&
        chooseLane(this.#members, errand, this.#turn) !== undefined,
    )
    for (const errand of recalled) {
      errand.recalls += 1
      this.#metrics.recalled(member)
      this.#dispatch(errand)
    }
  }
}

function uriOf({ configuration }: TokenSettings): string {
  return configuration.token.uri
}
