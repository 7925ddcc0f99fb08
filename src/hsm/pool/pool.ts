/**
 * The pool of one region: tokens that share a domain. A command goes to the healthy token with the least to do; when a
 * host ends or a token fails, its commands are repeated on another, so that a caller sees a slower answer and no error.
 */
import type { Logger } from '../../telemetry/logger.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import { type Args, type CommandName, commands, type Result } from '../contract/commands.ts'
import type { HsmFault } from '../contract/fault.ts'
import type { HostConfiguration } from '../contract/host-configuration.ts'
import { holdersOf } from './holders.ts'
import { type Errand, MEMBER_STATES, Member, type MemberEvents } from './member.ts'

/** The region has as many commands as it takes; the caller is told to slow down. */
export class PoolBusy extends Error {
  override readonly name = 'PoolBusy'
}

/** No token answered in time. */
export class PoolUnavailable extends Error {
  override readonly name = 'PoolUnavailable'
}

export interface PoolSettings {
  readonly region: string
  readonly hosts: readonly { readonly label: string; readonly configuration: HostConfiguration }[]
  /** Whether HBKs reside in the tokens, which cannot wrap them. */
  readonly resident?: boolean
  /** Commands of the region, in flight and waiting together. */
  readonly maxCommands: number
  /** How long a command waits for a token that can take it. */
  readonly maxWaitMs: number
  readonly healthIntervalMs: number
}

const WATCH_INTERVAL_MS = 100
/** A command that was in flight at two host deaths may be their cause, and is not repeated. */
const SETBACKS_MAX = 2
/**
 * Tokens whose queue is shorter than this count as equally free, and the one that is at work already gets the command: its
 * host is awake, and its frames travel together. Waking another one costs both worlds more than the wait. Tokens that have
 * nothing to do take turns.
 */
const FREE_BELOW_MS = 1
const MICROSECONDS_PER_SECOND = 1_000_000
const MS_PER_SECOND = 1_000

export class HsmPool {
  readonly region: string
  readonly #settings: PoolSettings
  readonly #members: readonly Member[]
  readonly #metrics: Metrics
  readonly #logger: Logger
  readonly #waiting: Errand[] = []
  readonly #timers: readonly NodeJS.Timeout[]
  #turn = 0
  readonly #observers = new Map<string, (seconds: number) => void>()

  constructor(settings: PoolSettings, { metrics, logger }: { metrics: Metrics; logger: Logger }) {
    this.region = settings.region
    this.#settings = settings
    this.#metrics = metrics
    this.#logger = logger
    const events: MemberEvents = {
      stateChanged: (member, reason) => this.#stateChanged(member, reason),
      answered: (member, errand, microseconds) => this.#answered(member, errand, microseconds),
      faulted: ({ label: token }, { kind }) => metrics.commandFaults.inc({ region: settings.region, token, kind }),
      lost: (member, errand, fault) => this.#lost(member, errand, fault),
      output: (member, line) =>
        logger.warn('output of an HSM host', { region: settings.region, hsm: member.label, line }),
    }
    this.#members = settings.hosts.map(({ label, configuration }) => new Member(label, configuration, events))
    for (const member of this.#members) member.start()
    this.#timers = [
      setInterval(() => this.#watch(), WATCH_INTERVAL_MS).unref(),
      setInterval(() => this.#checkHealth(), settings.healthIntervalMs).unref(),
    ]
  }

  /** Whether at least one token can serve. */
  get ready(): boolean {
    return this.#members.some(member => member.state === 'healthy')
  }

  /** Whether an HBK of this region stays in the token that made it. */
  get resident(): boolean {
    return this.#settings.resident ?? false
  }

  /** The tokens that have told their serial so far, and whether each can be given a command now. */
  get tokens(): readonly { readonly serial: string; readonly label: string; readonly serving: boolean }[] {
    return this.#members.flatMap(({ profile, label, state }) =>
      profile === undefined ? [] : [{ serial: profile.serial, label, serving: state === 'healthy' }],
    )
  }

  get members(): readonly Pick<Member, 'label' | 'state' | 'pid' | 'inFlight' | 'profile' | 'restarts'>[] {
    return this.#members
  }

  /**
   * Runs a command on a token. Throws HsmFault `input` or `key` when the command itself is at fault, {@link PoolBusy}
   * beyond the bound, {@link PoolUnavailable} when no token could answer. `serials` names the only tokens it may go to:
   * those that hold the HBKs it works with, unless the caller says otherwise.
   */
  call<C extends CommandName>(
    name: C,
    args: Args<C>,
    serials: readonly string[] | undefined = holdersOf(args as Args<CommandName>),
  ): Promise<Result<C>> {
    return new Promise((resolve, reject) => {
      const errand: Errand = {
        name,
        args: args as Args<CommandName>,
        serials,
        startedAtMs: performance.now(),
        resolve: resolve as Errand['resolve'],
        reject,
        setbacks: 0,
        sentAtMs: 0,
      }
      const member = this.#leastLoaded(errand)
      if (this.#load() >= this.#settings.maxCommands) reject(new PoolBusy(`region ${this.region} has all it takes`))
      else if (member === undefined) this.#waiting.push(errand)
      else member.send(errand)
    })
  }

  /** Tells every host to let go of an HBK. A host that is down holds none. */
  async evict(digest: Buffer): Promise<void> {
    const evictions = this.#members
      .filter(({ state }) => state === 'healthy')
      .map(member => this.#direct(member, 'evict', { digest }))
    await Promise.allSettled(evictions)
  }

  /** Resolves when a token can serve and none is still starting; rejects with {@link PoolUnavailable} after `timeoutMs`, or when none ever will. */
  async whenReady(timeoutMs: number): Promise<void> {
    const until = performance.now() + timeoutMs
    while (!this.ready || this.#members.some(({ state }) => state === 'starting')) {
      const hopeless = this.#members.every(({ state }) => state === 'locked-out')
      if (hopeless || performance.now() > until)
        throw new PoolUnavailable(`no token of region ${this.region} can serve`)
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }

  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    for (const errand of this.#waiting.splice(0)) errand.reject(new PoolUnavailable('the pool is closing'))
    await Promise.all(this.#members.map(member => member.close()))
  }

  /** Brings the gauges up to date, for a scrape. */
  report(): void {
    const { region } = this
    this.#metrics.waiting.set({ region }, this.#waiting.length)
    for (const { label: token, state, inFlight } of this.#members) {
      this.#metrics.inFlight.set({ region, token }, inFlight)
      for (const name of MEMBER_STATES)
        this.#metrics.tokenState.set({ region, token, state: name }, name === state ? 1 : 0)
    }
  }

  #load(): number {
    return this.#members.reduce((sum, { inFlight }) => sum + inFlight, this.#waiting.length)
  }

  #leastLoaded(errand: Errand, except?: Member): Member | undefined {
    let best: Member | undefined
    this.#turn += 1
    for (let at = 0; at < this.#members.length; at += 1) {
      const member = this.#members[(this.#turn + at) % this.#members.length]
      if (member?.state !== 'healthy' || member === except || !member.mayServe(errand)) continue
      if (best === undefined || takesSooner(member, best)) best = member
    }
    return best
  }

  #direct<C extends CommandName>(member: Member, name: C, args: Args<C>): Promise<Result<C>> {
    return new Promise((resolve, reject) => {
      const now = performance.now()
      const errand = { name, args: args as Args<CommandName>, startedAtMs: now, sentAtMs: now, setbacks: SETBACKS_MAX }
      member.send({ ...errand, serials: undefined, resolve: resolve as Errand['resolve'], reject })
    })
  }

  #answered(member: Member, { name, startedAtMs }: Errand, microseconds: number): void {
    const { region } = this
    this.#observe(`${member.label}/${name}`, () =>
      this.#metrics.commandSeconds.labels({ region, token: member.label, command: name }),
    )(microseconds / MICROSECONDS_PER_SECOND)
    this.#observe(name, () => this.#metrics.commandRoundTripSeconds.labels({ region, command: name }))(
      (performance.now() - startedAtMs) / MS_PER_SECOND,
    )
  }

  /** The histogram of one set of labels, looked up once. */
  #observe(key: string, child: () => { observe(seconds: number): void }): (seconds: number) => void {
    let observer = this.#observers.get(key)
    if (observer === undefined) {
      const histogram = child()
      observer = seconds => histogram.observe(seconds)
      this.#observers.set(key, observer)
    }
    return observer
  }

  #lost(member: Member, errand: Errand, fault: HsmFault): void {
    const { region } = this
    errand.setbacks += 1
    if (errand.setbacks >= SETBACKS_MAX || commands[errand.name].once) {
      errand.reject(new PoolUnavailable(fault.message, { cause: fault }))
      return
    }
    this.#metrics.commandRepeats.inc({ region })
    const next = this.#leastLoaded(errand, member) ?? this.#leastLoaded(errand)
    if (next === undefined) this.#waiting.push(errand)
    else next.send(errand)
  }

  #stateChanged(member: Member, reason: string): void {
    const { region } = this
    const { state, label: token } = member
    const fields = { region, hsm: token, state, reason }
    if (state === 'healthy' || state === 'starting') this.#logger.info('HSM changed its state', fields)
    else this.#logger.error('HSM changed its state', fields)
    if (state === 'starting') this.#metrics.hostRestarts.inc({ region, token })
    if (state !== 'healthy') return
    for (const errand of this.#waiting.splice(0)) {
      const next = this.#leastLoaded(errand)
      if (next === undefined) this.#waiting.push(errand)
      else next.send(errand)
    }
  }

  /** Cuts off tokens that have gone mute, and commands that have waited for too long. */
  #watch(): void {
    const now = performance.now()
    for (const member of this.#members) {
      const reason = member.muteReason(now)
      if (reason !== undefined) member.kill(reason)
    }
    while (this.#waiting[0] !== undefined && now - this.#waiting[0].startedAtMs > this.#settings.maxWaitMs) {
      const { serials, reject } = this.#waiting.shift() as Errand
      const which = serials === undefined ? '' : ` that holds the key (${serials.join(', ')})`
      reject(new PoolUnavailable(`no token of region ${this.region}${which} can serve`))
    }
  }

  #checkHealth(): void {
    const { region } = this
    for (const member of this.#members) {
      if (member.state !== 'healthy') continue
      const token = member.label
      this.#direct(member, 'status', {}).then(
        status => {
          this.#metrics.cachedHbks.set({ region, token }, status.cachedHbks)
          this.#metrics.openSessions.set({ region, token }, status.openSessions)
          this.#metrics.hostMemoryBytes.set({ region, token }, status.residentMemoryMb * 1_048_576)
        },
        (error: Error) => {
          if (member.state === 'healthy') member.kill(`health check failed: ${error.message}`)
        },
      )
    }
  }
}

/** Whether `a` will get to a new command sooner than `b`, or as soon and cheaper. */
function takesSooner(a: Member, b: Member): boolean {
  const [aMs, bMs] = [a.expectedWaitMs, b.expectedWaitMs]
  return aMs < FREE_BELOW_MS && bMs < FREE_BELOW_MS ? a.inFlight > b.inFlight : aMs < bMs
}
