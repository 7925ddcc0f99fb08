/**
 * The state of a token as the pool sees it, and nothing else: no timer, no process, no clock of its own. Whoever owns it
 * says what happened and when; it says whether the token may be given work, and when to try again after it may not.
 *
 * ```
 * starting ──ready──▶ healthy ◀──────▶ degraded      some commands fail, or the token is slow, or lacks a host
 *     │                  ▲  │              │
 *     │            enough│  └────trip──────┤
 *     ▼                  │                 ▼
 *   open ◀──any fault── probing ◀──ready── open      locked-out: the PIN was refused; an operator unlocks
 * ```
 */

export const TOKEN_STATES = ['starting', 'healthy', 'degraded', 'open', 'probing', 'locked-out'] as const
export type TokenState = (typeof TOKEN_STATES)[number]

/** Outcomes that the error rate is taken over. */
const WINDOW = 20
const FAULTS_DEGRADED = 2
const FAULTS_OPEN = 10
/** Faults in a row after which the known-answer command is asked before its time. */
const FAULTS_SUSPECT = 3
/** Of a command's deadline, as a moving average: above the first a token is slow, below the second it is no longer. */
const SLOW_SHARE = 0.25
const QUICK_SHARE = 0.125
const SHARE_WEIGHT = 0.05
/** A state of health lasts at least this long before it is called better. */
const DWELL_MS = 1_000
/** A token that fails again within this time has not been well: its back-off goes on from where it was. */
const STABLE_MS = 30_000
const PROBE_COMMANDS = 3
const PROBE_DOUBLINGS_MAX = 2
/** What a known-answer command counts for while a circuit is half open, so that a token without callers closes it too. */
const CANARY_WEIGHT = 4
const BACK_OFF_FIRST_MS = 100
/** A token that came back is to be at work again within five seconds. */
const BACK_OFF_MAX_MS = 1_500
const BACK_OFF_LEAST_MS = 20

export interface CircuitOptions {
  /** From 0 to 1: the jitter of the back-off. */
  readonly random: () => number
  readonly nowMs: number
  /** Called once for each change of state, after it. */
  readonly changed: () => void
}

export class Circuit {
  readonly #random: () => number
  readonly #changed: () => void
  readonly #outcomes = new Uint8Array(WINDOW)
  #outcomeAt = 0
  #faults = 0
  #faultsInRow = 0
  #share = 0
  #state: TokenState = 'starting'
  #reason = 'the pool starts'
  #sinceMs: number
  #impairment: string | undefined
  #closedAtMs = Number.NEGATIVE_INFINITY
  #attempt = 0
  #relapses = 0
  #probesLeft = 0
  #proven = false
  #retryAtMs = 0

  constructor({ random, nowMs, changed }: CircuitOptions) {
    this.#random = random
    this.#changed = changed
    this.#sinceMs = nowMs
  }

  get state(): TokenState {
    return this.#state
  }

  /** Why the token is in this state, in words for an operator. */
  get reason(): string {
    return this.#reason
  }

  get sinceMs(): number {
    return this.#sinceMs
  }

  /** Whether commands go to this token as to any other. */
  get serving(): boolean {
    return this.#state === 'healthy' || this.#state === 'degraded'
  }

  /** Half open, and the known answer was right: a few commands of callers may try. */
  get takesTrials(): boolean {
    return this.#state === 'probing' && this.#proven
  }

  /** Several commands in a row failed: the known-answer command decides whether it is the token. */
  get suspect(): boolean {
    return this.#faultsInRow >= FAULTS_SUSPECT
  }

  /** When a host may be started again. */
  get retryAtMs(): number {
    return this.#retryAtMs
  }

  /** A host has opened the token and passed its self-tests. */
  ready(nowMs: number): void {
    if (this.#state === 'starting') this.#close(nowMs, 'a host is ready')
    if (this.#state !== 'open') return
    this.#probesLeft = PROBE_COMMANDS * 2 ** Math.min(this.#relapses, PROBE_DOUBLINGS_MAX)
    this.#proven = false
    this.#change('probing', nowMs, 'a host is ready; a few commands try it')
  }

  /** A command was answered, whoever was to blame for what it said. `share` is the part of its deadline that it took. */
  succeeded(nowMs: number, share: number): void {
    this.#record(0)
    this.#faultsInRow = 0
    this.#share += (share - this.#share) * SHARE_WEIGHT
    this.#answered(nowMs, 1)
  }

  /** The known-answer command was answered, and rightly. */
  canarySucceeded(nowMs: number): void {
    this.#record(0)
    this.#faultsInRow = 0
    this.#answered(nowMs, this.#proven ? CANARY_WEIGHT : 0)
    this.#proven = true
  }

  /** A command met a fault that is not its own. True when that opened the circuit. */
  failed(nowMs: number, reason: string): boolean {
    this.#record(1)
    this.#faultsInRow += 1
    const tooMany = this.#faults >= FAULTS_OPEN || this.#state === 'probing'
    if (tooMany) this.trip(nowMs, reason)
    else this.#judge(nowMs)
    return tooMany
  }

  /** Opens the circuit: no host is left, or none that can be trusted. */
  trip(nowMs: number, reason: string): void {
    if (this.#state === 'open' || this.#state === 'locked-out') return
    const wasWell = this.serving && nowMs - this.#closedAtMs >= STABLE_MS
    if (wasWell) this.#attempt = 0
    this.#relapses = wasWell || this.#state === 'starting' ? 0 : this.#relapses + 1
    this.#backOff(nowMs)
    this.#change('open', nowMs, reason)
  }

  /** A host could not be started. */
  startFailed(nowMs: number, reason: string): void {
    if (this.#state === 'open') {
      this.#reason = reason
      this.#backOff(nowMs)
    } else this.trip(nowMs, reason)
  }

  /** The token refused the PIN: it is not asked again before {@link unlock}. */
  lockOut(nowMs: number, reason: string): void {
    this.#change('locked-out', nowMs, reason)
  }

  unlock(nowMs: number): void {
    if (this.#state !== 'locked-out') return
    this.#attempt = 0
    this.#retryAtMs = nowMs
    this.#change('starting', nowMs, 'an operator asked to try again')
  }

  /** What the token lacks although it serves; undefined when it lacks nothing. */
  impaired(nowMs: number, impairment: string | undefined): void {
    this.#impairment = impairment
    this.#judge(nowMs)
  }

  #answered(nowMs: number, weight: number): void {
    if (this.#state !== 'probing') {
      this.#judge(nowMs)
      return
    }
    this.#probesLeft -= weight
    if (this.#probesLeft <= 0) this.#close(nowMs, 'it answers again')
  }

  #close(nowMs: number, reason: string): void {
    this.#outcomes.fill(0)
    this.#faults = 0
    this.#faultsInRow = 0
    this.#share = 0
    // What fails for the first time was well before.
    this.#closedAtMs = this.#state === 'starting' ? Number.NEGATIVE_INFINITY : nowMs
    this.#change('healthy', nowMs, reason)
    this.#judge(nowMs)
  }

  /** Worse at once, better after a while. */
  #judge(nowMs: number): void {
    if (!this.serving) return
    const complaint = this.#complaint()
    if (complaint !== undefined && this.#state === 'healthy') this.#change('degraded', nowMs, complaint)
    const better = this.#impairment === undefined && this.#faults === 0 && this.#share < QUICK_SHARE
    if (this.#state === 'degraded' && better && nowMs - this.#sinceMs >= DWELL_MS)
      this.#change('healthy', nowMs, 'nothing is amiss any more')
  }

  #complaint(): string | undefined {
    if (this.#impairment !== undefined) return this.#impairment
    if (this.#faults >= FAULTS_DEGRADED) return `${this.#faults} of its last ${WINDOW} commands failed`
    if (this.#share > SLOW_SHARE) return 'it is slow: commands take more than a quarter of their deadline'
    return undefined
  }

  #record(fault: 0 | 1): void {
    this.#faults += fault - (this.#outcomes[this.#outcomeAt] ?? 0)
    this.#outcomes[this.#outcomeAt] = fault
    this.#outcomeAt = (this.#outcomeAt + 1) % WINDOW
  }

  /** Exponential, with full jitter: daemons that lost a token together do not return to it together. */
  #backOff(nowMs: number): void {
    const most = Math.min(BACK_OFF_MAX_MS, BACK_OFF_FIRST_MS * 2 ** this.#attempt)
    this.#attempt = Math.min(this.#attempt + 1, 16)
    this.#retryAtMs = nowMs + Math.max(BACK_OFF_LEAST_MS, this.#random() * most)
  }

  #change(state: TokenState, nowMs: number, reason: string): void {
    if (state === this.#state) return
    this.#state = state
    this.#reason = reason
    this.#sinceMs = nowMs
    this.#changed()
  }
}
