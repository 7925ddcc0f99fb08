/**
 * One token of the pool: the hosts that serve it, and its circuit. Hosts of a token are started one after another, so that
 * a PIN that the token refuses is tried once, and no two logins meet in a token's file. Time comes in by `tick` alone.
 */
import type { CommandName, Result } from '../contract/commands.ts'
import { HsmFault, STALE_DOMAIN } from '../contract/fault.ts'
import { type Answer, readFault, readResult } from '../contract/frames.ts'
import type { DescribedDomains, HostConfiguration, HostEvent } from '../contract/host-configuration.ts'
import type { TokenProfile } from '../contract/token-profile.ts'
import type { Allocator } from './allocator.ts'
import { Circuit, type TokenState } from './circuit.ts'
import { Errand } from './errand.ts'
import { Host, type HostPhase, type HostPlan, type Lost } from './host.ts'
import { HostStarts } from './host-starts.ts'
import { KnownAnswer } from './known-answer.ts'
import type { Lane } from './lane.ts'
import { Latencies } from './latencies.ts'
import { Renewal } from './renewal.ts'
import { StartTurn, type StartTurns } from './start-turns.ts'
import { type WearLimits, wearOf } from './wear.ts'

/** A token as the pool is told of it. */
export interface TokenSettings {
  readonly label: string
  readonly configuration: HostConfiguration
  /** Host processes that serve it at once; 1 when absent. */
  readonly hosts?: number
  /** What they allocate memory with; the system's allocator when absent. */
  readonly allocator?: Allocator
}

export interface MemberLimits extends WearLimits {
  /** The least that any command is given before its host counts as mute. */
  readonly deadlineFloorMs: number
  /** How often the known-answer command is sent, a second at least. */
  readonly healthIntervalMs: number
  /** Where other processes open the same tokens: who may do so when. */
  readonly turns?: StartTurns | undefined
}

export interface MemberEvents {
  /** A host no longer finds the domain's keys: resolves when the domain's row has been read, if it was not read just now. */
  estranged(): Promise<void>
  stateChanged(member: Member): void
  /** A host has worked out what its token can do. */
  profiled(member: Member, profile: TokenProfile): void
  /** A lane may have room again. */
  freed(member: Member): void
  answered(member: Member, errand: Errand, tokenMicroseconds: number, nowMs: number): void
  /** Any fault, whoever is to blame. */
  faulted(member: Member, fault: HsmFault): void
  /** The token did not serve the command: the pool decides where it goes next. `suspect`: it may be why its host ended. */
  lost(member: Member, errand: Errand, fault: HsmFault, suspect: boolean): void
  /** The host knows too old a description of the domain for this command. */
  stale(member: Member, errand: Errand, fault: HsmFault): void
  restarted(member: Member): void
  /** A host is due to be replaced by a fresh one. */
  worn(member: Member, host: Host, reason: string): void
  probed(member: Member, passed: boolean): void
  /** What a host has done since it was last asked. */
  progressed(member: Member, progress: Progress): void
  output(member: Member, line: string): void
  /** A host tells of a command that is traced. */
  traced(member: Member, host: Host, span: Extract<HostEvent, { type: 'span' }>): void
}

/** What a host has done between two known-answer commands. */
export interface Progress {
  readonly cpuSeconds: number
  /** EKTs that were verified and taken into use. */
  readonly hbkImports: number
}

/** What an operator sees of a token. */
export interface MemberStatus {
  readonly hsm: string
  readonly state: TokenState
  readonly reason: string
  /** When it came into this state. */
  readonly since: string
  readonly hosts: number
  readonly lanes: number
  readonly sessions: number
  readonly inFlight: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  readonly restarts: number
}

const MICROSECONDS_PER_MS = 1_000
const MICROSECONDS_PER_SECOND = 1_000_000
/** A library may hang while it is loaded or logged in as well; SIGKILL at that moment may cost the token (see hardening.ts). */
const START_DEADLINE_MS = 15_000
/** What each thread adds to that, on a machine that has other things to do. */
const THREAD_START_MS = 500
const TOKEN_MS_FIRST = 0.1
/** For so long a host that does not know the newest domain may fail its known answer, because its successor is starting. */
const REPLACED_WITHIN_MS = 30_000

export class Member {
  readonly label: string
  restarts = 0
  /** Starts of hosts that have failed since one succeeded. */
  failedStarts = 0
  readonly circuit: Circuit
  readonly latencies = new Latencies()
  readonly #limits: MemberLimits
  readonly #events: MemberEvents
  readonly #wanted: number
  readonly #allocator: Allocator
  #configuration: HostConfiguration
  #generation: number
  #describedAtMs = Number.NEGATIVE_INFINITY
  #profile: TokenProfile | undefined
  #hosts: Host[] = []
  #lanes: readonly Lane[] = []
  readonly #starts = new HostStarts()
  readonly #turn: StartTurn | undefined
  readonly #knownAnswer: KnownAnswer
  #renewal: Renewal | undefined
  #tokenMs = TOKEN_MS_FIRST
  #closing = false

  /** `generation` is that of the description of the domain in the settings. */
  constructor(
    settings: TokenSettings,
    limits: MemberLimits,
    events: MemberEvents,
    random: () => number,
    generation: number,
  ) {
    this.label = settings.label
    this.#configuration = settings.configuration
    this.#generation = generation
    this.#wanted = settings.hosts ?? 1
    this.#allocator = settings.allocator ?? 'system'
    this.#limits = limits
    this.#turn =
      limits.turns &&
      new StartTurn(limits.turns, settings.configuration.token.uri, {
        granted: () => this.#startInTurn(),
        refused: reason => this.#refused(reason),
      })
    this.#events = events
    const nowMs = performance.now()
    this.circuit = new Circuit({ random, nowMs, changed: () => events.stateChanged(this) })
    this.#knownAnswer = new KnownAnswer({
      intervalMs: limits.healthIntervalMs,
      hosts: () => this.#ready,
      probing: () => this.state === 'probing',
      ask: lane => this.#ask(lane, 'status', {}) as Promise<Result<'status'>>,
      given: (host, lane, status) => this.#answerGiven(host, lane, status),
      doubted: (host, fault) => this.#answerDoubted(host, fault),
      missed: (host, error) => this.#answerMissed(host, error),
    })
    this.tick(nowMs)
  }

  get state(): TokenState {
    return this.circuit.state
  }

  get profile(): TokenProfile | undefined {
    return this.#profile
  }

  /** RFC 7512: which token it is, as it was configured. */
  get uri(): string {
    return this.#configuration.token.uri
  }

  get domains(): DescribedDomains {
    const { domain, multiRegionDomain } = this.#configuration
    return { domain, multiRegionDomain }
  }

  /** Which description of the domain new hosts are given. */
  get generation(): number {
    return this.#generation
  }

  get inFlight(): number {
    return this.#hosts.reduce((sum, { inFlight }) => sum + inFlight, 0)
  }

  /** The processes that serve this token. */
  get pids(): number[] {
    return this.#ready.flatMap(({ pid }) => pid ?? [])
  }

  get #ready(): Host[] {
    return this.#hosts.filter(({ phase }) => phase === 'ready')
  }

  /** The lanes of its hosts that take commands. */
  get lanes(): readonly Lane[] {
    return this.#lanes
  }

  /** Whether the token is one of those that can serve this command at all. */
  mayServe({ serials }: Errand): boolean {
    return serials === undefined || (this.#profile !== undefined && serials.includes(this.#profile.serial))
  }

  /** Lanes that do not move while commands wait behind the one they are at. */
  stalledLanes(nowMs: number): Lane[] {
    return this.#hosts.flatMap(({ lanes }) => lanes.filter(lane => lane.checkStall(nowMs)))
  }

  status(): MemberStatus {
    const ready = this.#ready
    return {
      hsm: this.label,
      state: this.state,
      reason: this.circuit.reason,
      since: new Date(Date.now() - (performance.now() - this.circuit.sinceMs)).toISOString(),
      hosts: ready.length,
      lanes: this.#lanes.length,
      sessions: this.sum('sessions'),
      inFlight: this.inFlight,
      ...this.latencies.summary(),
      restarts: this.restarts,
    }
  }

  /** What its hosts said of themselves last, added up. */
  sum(of: 'sessions' | 'cachedHbks' | 'residentMemoryMb'): number {
    return this.#ready.reduce((total, host) => total + host[of], 0)
  }

  /** Runs a command once on every host, on each of its lanes. Rejects never; a host that ends has nothing left of it. */
  async onEveryLane(name: CommandName, args: Errand['args']): Promise<void> {
    const lanes = this.#hosts
      .filter(({ phase }) => phase === 'ready' || phase === 'draining')
      .flatMap(host => host.lanes)
    await Promise.allSettled(lanes.map(lane => this.#ask(lane, name, args)))
  }

  /** An operator says that the PIN may be tried again. False when nothing keeps it from being tried. */
  unlock(): boolean {
    if (!this.#starts.allow()) return false
    this.circuit.impaired(performance.now(), undefined)
    this.circuit.unlock(performance.now())
    return true
  }

  /** Gives new hosts another description of the domains. Those that serve go on with theirs until {@link renew}. */
  describe({ domain, multiRegionDomain }: DescribedDomains, generation: number): void {
    this.#configuration = { ...this.#configuration, domain, multiRegionDomain }
    this.#generation = generation
    this.#describedAtMs = performance.now()
  }

  /** Replaces every host that knows an older description than the newest, one after another, and no command is lost. */
  async renew(): Promise<void> {
    for (const host of this.#ready) if (host.generation < this.#generation) await this.replace(host)
  }

  /** Starts another host, and drains this one when the other is ready. Rejects when the other cannot start. */
  replace(old: Host): Promise<void> {
    if (old.phase !== 'ready' || this.#renewal !== undefined || this.#closing) return Promise.resolve()
    const renewal = new Renewal(old)
    this.#renewal = renewal
    this.#starts.hasten()
    this.#start(performance.now())
    return renewal.done
  }

  /** What is due at this moment: deadlines, stalled lanes, known answers, hosts to start, hosts that have done enough. */
  tick(nowMs: number): void {
    if (this.#closing) return
    for (const host of [...this.#hosts]) this.#watch(host, nowMs)
    this.#knownAnswer.sendIfDue(nowMs)
    this.#start(nowMs)
  }

  /** This process did not run for so long: its hosts may have answered, or not have run either, and are given that time. */
  excuse(lateMs: number): void {
    for (const host of this.#hosts) host.excuse(lateMs)
  }

  /** Lets the hosts finish what they have and ends them. */
  async close(): Promise<void> {
    this.#closing = true
    this.#endRenewal()
    this.#turn?.end()
    await Promise.all(this.#hosts.map(host => host.close()))
  }

  #watch(host: Host, nowMs: number): void {
    const { threads = 1 } = this.#configuration
    if (host.phase === 'starting' && nowMs - host.phaseSinceMs > START_DEADLINE_MS + (threads - 1) * THREAD_START_MS)
      host.kill('host was not ready within its deadline')
    host.endWhenDone()
    for (const lane of host.lanes) {
      const overdue = lane.overdue(nowMs, this.#limits.deadlineFloorMs)
      if (overdue !== undefined) {
        this.#loseMute(host, lane, overdue)
        return
      }
    }
    const wear = host.phase === 'ready' ? wearOf(host, this.#limits, nowMs) : undefined
    if (wear !== undefined) this.#events.worn(this, host, wear)
  }

  /** Only what this lane may have been at is suspect: the other lanes lose their host to it. */
  #loseMute(host: Host, lane: Lane, overdue: Errand): void {
    const { suspects, waiting } = lane.lose()
    const fault = new HsmFault('module', `no answer to ${overdue.name} within its deadline`)
    this.#lose(host, fault.reason)
    for (const errand of suspects) this.#lost(errand, fault, true)
    for (const errand of waiting) this.#lost(errand, fault, false)
  }

  #answerGiven(host: Host, lane: Lane, status: Result<'status'>): void {
    host.cachedHbks = status.cachedHbks * host.lanes.length
    host.sessions = status.openSessions * host.lanes.length
    host.residentMemoryMb = status.residentMemoryMb
    const cpuSeconds = (status.cpuMicroseconds - host.cpuMicroseconds) / MICROSECONDS_PER_SECOND
    // A lane that opened its sessions anew counts from nought again.
    const before = status.hbkImports < lane.hbkImports ? 0 : lane.hbkImports
    this.#events.progressed(this, { cpuSeconds, hbkImports: status.hbkImports - before })
    host.cpuMicroseconds = status.cpuMicroseconds
    lane.hbkImports = status.hbkImports
    this.#events.probed(this, true)
    this.circuit.canarySucceeded(performance.now())
    this.#events.freed(this)
  }

  #answerDoubted(host: Host, fault: HsmFault): void {
    if (this.#closing) return
    this.#events.probed(this, false)
    if (host.phase === 'ready') this.#countFault(`known-answer command: ${fault.message}`)
  }

  async #answerMissed(host: Host, error: Error): Promise<void> {
    if (this.#closing) return
    this.#events.probed(this, false)
    if (error instanceof HsmFault && error.reason === STALE_DOMAIN) {
      await this.#events.estranged()
      // A rotation has taken what makes from under a host that is being replaced, and that still opens everything.
      const replaced =
        host.generation < this.#generation && performance.now() - this.#describedAtMs < REPLACED_WITHIN_MS
      if (replaced) return
    }
    if (host.phase === 'ready') this.#lose(host, `known-answer command: ${error.message}`)
  }

  /** Starts the next host, if one is wanted and none is being started: only one process at a time tries the PIN. */
  #start(nowMs: number): void {
    if (this.#closing || !this.#starts.mayStart(nowMs)) return
    if (this.#hosts.some(({ phase }) => phase === 'starting')) return
    const ready = this.#ready.length
    const wanted = this.circuit.serving ? this.#wanted + (this.#renewal === undefined ? 0 : 1) : 1
    if (ready >= wanted || (!this.circuit.serving && nowMs < this.circuit.retryAtMs)) return
    if (this.#turn?.isMine() === false) return
    const plan: HostPlan = {
      ...{ configuration: this.#configuration, allocator: this.#allocator },
      ...{ generation: this.#generation, tokenMs: this.#tokenMs },
    }
    const failed = this.#hosts.find(host => host.phase === 'failed')
    if (failed?.mayRetry === true) {
      failed.retry(plan)
      return
    }
    failed?.kill('host is replaced by a fresh one')
    const host = this.#spawn(plan)
    if (host === undefined) return
    this.#hosts.push(host)
    if (this.#renewal !== undefined) this.#renewal.fresh = host
    else if (this.circuit.state !== 'starting' && ready < this.#wanted) this.#restarted()
  }

  /** Undefined when there can be no process, which counts as a start that failed. */
  #spawn(plan: HostPlan): Host | undefined {
    try {
      return new Host(plan, {
        ready: ready => this.#hostReady(ready),
        failed: (failing, failure) => this.#hostFailed(failing, failure),
        answered: (answering, lane, errand, answer, nowMs) => this.#answered(answering, lane, errand, answer, nowMs),
        ended: (ended, phase, reason, lost) => this.#hostEnded(ended, phase, reason, lost),
        output: line => this.#events.output(this, line),
        traced: (host, span) => this.#events.traced(this, host, span),
      })
    } catch (error) {
      const { message } = error as Error
      this.#turn?.end()
      this.#startFailed(message)
      this.#events.faulted(this, new HsmFault('module', message))
      return undefined
    }
  }

  #restarted(): void {
    this.restarts += 1
    this.#events.restarted(this)
  }

  /** What asked for the turn may be over by now. */
  #startInTurn(): void {
    this.#start(performance.now())
    if (!this.#hosts.some(({ phase }) => phase === 'starting')) this.#turn?.end()
  }

  /** Another process has found that the token refuses the PIN. */
  #refused(reason: string): void {
    this.#starts.refuse(reason)
    this.#startFailed(reason)
  }

  #hostReady(host: Host): void {
    const nowMs = performance.now()
    this.#turn?.end()
    this.#profile = host.profile
    if (host.profile !== undefined) this.#events.profiled(this, host.profile)
    this.#starts.succeeded()
    this.failedStarts = 0
    const renewal = this.#renewal
    if (renewal?.fresh === host) {
      renewal.old.drain()
      this.#endRenewal()
    }
    this.#listLanes()
    if (this.#ready.length >= this.#wanted) this.circuit.impaired(nowMs, undefined)
    this.circuit.ready(nowMs)
    this.#knownAnswer.askNow(nowMs)
    this.#events.freed(this)
  }

  #hostFailed(host: Host, { kind, reason, retry }: Extract<HostEvent, { type: 'failed' }>): void {
    this.#events.faulted(this, new HsmFault(kind, reason))
    if (!retry) this.#starts.refuse(reason)
    this.#turn?.end(retry ? undefined : reason)
    if (host.phase === 'failed') this.#startFailed(reason)
  }

  #hostEnded(host: Host, phase: HostPhase, reason: string, lost: Lost): void {
    this.#hosts = this.#hosts.filter(each => each !== host)
    this.#listLanes()
    const fault = new HsmFault('module', reason)
    if (this.#closing) {
      for (const errand of [...lost.suspects, ...lost.waiting]) this.#lost(errand, fault, false)
      return
    }
    if (phase === 'ready') this.#lostHost(reason)
    else if (phase === 'starting') {
      this.#turn?.end()
      this.#startFailed(reason)
    }
    if (phase === 'ready' || phase === 'starting') this.#events.faulted(this, fault)
    for (const errand of lost.suspects) this.#lost(errand, fault, true)
    for (const errand of lost.waiting) this.#lost(errand, fault, false)
  }

  /** Ends a host that cannot be trusted. What it was working on is no suspect: the host did not end by it. */
  #lose(host: Host, reason: string): void {
    const lost = host.lanes.map(lane => lane.lose())
    host.kill(reason)
    const fault = new HsmFault('module', reason)
    for (const { suspects, waiting } of lost)
      for (const errand of [...suspects, ...waiting]) this.#lost(errand, fault, false)
  }

  #lost(errand: Errand, fault: HsmFault, suspect: boolean): void {
    if (errand.pinned) errand.reject(fault)
    else this.#events.lost(this, errand, fault, suspect)
  }

  #lostHost(reason: string): void {
    const nowMs = performance.now()
    const { refusal } = this.#starts
    if (this.#renewal !== undefined && this.#renewal.old.phase === 'ended') this.#endRenewal()
    if (this.#ready.length > 0) {
      this.#starts.delay(nowMs)
      this.circuit.impaired(nowMs, `it lacks a host: ${refusal ?? reason}`)
    } else if (refusal !== undefined) this.circuit.lockOut(nowMs, refusal)
    else this.circuit.trip(nowMs, reason)
  }

  #startFailed(reason: string): void {
    this.failedStarts += 1
    const nowMs = performance.now()
    const { refusal } = this.#starts
    this.#endRenewal(new Error(reason))
    if (this.#ready.length > 0) {
      this.#starts.delay(nowMs)
      this.circuit.impaired(nowMs, `it lacks a host: ${reason}`)
    } else if (refusal !== undefined) this.circuit.lockOut(nowMs, refusal)
    else this.circuit.startFailed(nowMs, reason)
  }

  #endRenewal(error?: Error): void {
    const renewal = this.#renewal
    this.#renewal = undefined
    if (error === undefined) renewal?.end()
    else renewal?.fail(error)
  }

  #answered(host: Host, lane: Lane, errand: Errand, answer: Answer, nowMs: number): void {
    const { name } = errand
    const ms = answer.tokenMicroseconds / MICROSECONDS_PER_MS
    this.#tokenMs = lane.tokenMs
    if (name === 'status') lane.quicken(ms)
    else this.latencies.add(ms)
    this.#events.answered(this, errand, answer.tokenMicroseconds, nowMs)
    if (answer.outcome === 'result') {
      errand.resolve(readResult(name, answer.body))
      if (!errand.pinned) this.circuit.succeeded(nowMs, ms / errand.deadlineMs)
    } else this.#faulted(host, errand, readFault(answer.body), ms)
    this.#events.freed(this)
  }

  #faulted(host: Host, errand: Errand, fault: HsmFault, ms: number): void {
    const nowMs = performance.now()
    this.#events.faulted(this, fault)
    if (fault.kind === 'input' || fault.kind === 'key') {
      this.circuit.succeeded(nowMs, ms / errand.deadlineMs)
      errand.reject(fault)
      return
    }
    if (errand.pinned) {
      errand.reject(fault)
      return
    }
    if (fault.reason === STALE_DOMAIN) {
      this.#events.stale(this, errand, fault)
      return
    }
    this.blame(errand, fault)
    if (fault.kind === 'module' && host.phase === 'ready') this.#lose(host, fault.reason)
    this.#lost(errand, fault, false)
  }

  /** Counts a fault against the token, unless another one answered the same: then it is the command's. */
  blame(errand: Errand, fault: HsmFault): void {
    const { lastFault } = errand
    if (lastFault !== undefined && lastFault.label !== this.label && lastFault.reason === fault.reason) return
    this.#countFault(fault.message)
  }

  #countFault(reason: string): void {
    if (this.circuit.failed(performance.now(), reason)) {
      for (const host of this.#ready) this.#lose(host, reason)
    } else if (this.circuit.suspect) this.suspect()
  }

  /** Has the known-answer command sent before its time, and yet not more than once a second. */
  suspect(): void {
    this.#knownAnswer.hasten()
  }

  #listLanes(): void {
    this.#lanes = this.#ready.flatMap(({ lanes }) => lanes)
  }

  #ask(lane: Lane, name: CommandName, args: Errand['args']): Promise<unknown> {
    const errand = new Errand(name, args, { pinned: true })
    try {
      lane.send(errand)
    } catch (error) {
      errand.reject(error as Error)
    }
    return errand.result
  }
}
