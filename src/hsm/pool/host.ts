/**
 * One host process of a token, from its start to its end: it becomes ready, or says why it cannot; it serves on its lanes;
 * it is drained when another takes its place, or killed when it does not answer. Nothing but SIGKILL ends a hung PKCS#11 call.
 */
import type { Answer } from '../contract/frames.ts'
import { type HostConfiguration, type HostEvent, hostEvent } from '../contract/host-configuration.ts'
import type { TokenProfile } from '../contract/token-profile.ts'
import type { Allocator } from './allocator.ts'
import type { Errand } from './errand.ts'
import { HOST_ENTRY, type HostProcess, spawnHost } from './host-process.ts'
import { Lane } from './lane.ts'

/** `failed`: the process lives, its token could not be opened, and it waits to be told to try again. */
export type HostPhase = 'starting' | 'failed' | 'ready' | 'draining' | 'ended'

export interface Lost {
  /** What the lanes may have been working on when the host ended: one of them may be why. */
  readonly suspects: readonly Errand[]
  readonly waiting: readonly Errand[]
}

export interface HostEvents {
  ready(host: Host): void
  failed(host: Host, failure: Extract<HostEvent, { type: 'failed' }>): void
  answered(host: Host, lane: Lane, errand: Errand, answer: Answer, nowMs: number): void
  /** The host is no more. `phase` is what it was in; `lost` is what it had been given and has not answered. */
  ended(host: Host, phase: HostPhase, reason: string, lost: Lost): void
  output(line: string): void
  /** A command that is traced was done. */
  traced(host: Host, span: Extract<HostEvent, { type: 'span' }>): void
}

export interface HostPlan {
  readonly configuration: HostConfiguration
  readonly allocator: Allocator
  /** Which description of the domain the configuration holds. */
  readonly generation: number
  /** How long a command took in the hosts of this token of late. */
  readonly tokenMs: number
}

const CLOSE_MS = 2_000
/** A process whose library fails again and again is replaced by a fresh one. */
const RETRIES_MAX = 10

export class Host {
  readonly startedAtMs = performance.now()
  /** Commands answered. */
  served = 0
  profile: TokenProfile | undefined
  generation: number
  residentMemoryMb = 0
  sessions = 0
  cachedHbks = 0
  /** CPU time of the process when it was last asked. */
  cpuMicroseconds = 0
  #phase: HostPhase = 'starting'
  #phaseSinceMs = performance.now()
  #retries = 0
  #lanes: readonly Lane[]
  readonly #process: HostProcess
  readonly #events: HostEvents
  readonly #closed: Promise<void>

  /** Throws when no process can be spawned. */
  constructor({ configuration, allocator, generation, tokenMs }: HostPlan, events: HostEvents) {
    this.#events = events
    this.generation = generation
    const threads = configuration.threads ?? 1
    this.#process = spawnHost(HOST_ENTRY, line => events.output(line), { lanes: threads, allocator })
    const ekts = Math.max(1, Math.floor(configuration.cachedHbks / threads))
    this.#lanes = this.#process.channels.map(
      channel =>
        new Lane(
          channel,
          { tokenMs, ekts },
          {
            answered: (lane, errand, answer, nowMs) => this.#answered(lane, errand, answer, nowMs),
            told: event => this.#told(hostEvent.parse(event)),
            broken: reason => this.kill(reason),
          },
        ),
    )
    this.#closed = new Promise(resolve => {
      this.#process.child.once('close', (code, signal) => {
        this.#end(`host ended (${signal ?? `code ${code}`})`)
        resolve()
      })
    })
    this.#lanes[0]?.configure(configuration)
  }

  get phase(): HostPhase {
    return this.#phase
  }

  get phaseSinceMs(): number {
    return this.#phaseSinceMs
  }

  get pid(): number | undefined {
    return this.#process.child.pid
  }

  get lanes(): readonly Lane[] {
    return this.#lanes
  }

  get inFlight(): number {
    return this.#lanes.reduce((sum, { inFlight }) => sum + inFlight, 0)
  }

  /** Whether this process may try once more to open its token. */
  get mayRetry(): boolean {
    return this.#phase === 'failed' && this.#retries < RETRIES_MAX
  }

  /** Does not count this time against the host. */
  excuse(lateMs: number): void {
    this.#phaseSinceMs += lateMs
    for (const lane of this.#lanes) lane.excuse(lateMs)
  }

  /** Tells a host that failed to open its token to try again. */
  retry({ configuration, generation }: HostPlan): void {
    this.#retries += 1
    this.generation = generation
    this.#enter('starting')
    this.#lanes[0]?.configure(configuration)
  }

  /** Ends the host at once. What it had been given is lost now, not when the kernel gets to it. */
  kill(reason: string): void {
    this.#process.child.kill('SIGKILL')
    this.#end(reason)
  }

  /** Takes no more commands, finishes those it has, and ends. */
  drain(): void {
    if (this.#phase === 'ended') return
    this.#enter('draining')
    this.endWhenDone()
  }

  /** Resolves when the process is gone. */
  async close(): Promise<void> {
    if (this.#phase !== 'ended') this.#enter('draining')
    for (const lane of this.#lanes) lane.end()
    const impatience = setTimeout(() => this.#process.child.kill('SIGKILL'), CLOSE_MS)
    await this.#closed
    clearTimeout(impatience)
  }

  /** Ends a drained host once it has answered all. */
  endWhenDone(): void {
    if (this.#phase !== 'draining' || this.inFlight > 0) return
    for (const lane of this.#lanes) lane.end()
  }

  #answered(lane: Lane, errand: Errand, answer: Answer, nowMs: number): void {
    this.served += 1
    this.#events.answered(this, lane, errand, answer, nowMs)
  }

  #told(event: HostEvent): void {
    if (event.type === 'span') this.#events.traced(this, event)
    else if (this.#phase !== 'starting') {
      // A host that lost its login, and whose PIN was refused when it tried to come back, says so and ends.
      if (event.type === 'failed') this.#events.failed(this, event)
    } else if (event.type === 'failed') {
      this.#enter('failed')
      this.#events.failed(this, event)
    } else {
      this.profile = event.profile
      this.#lanes = this.#lanes.slice(0, event.lanes)
      for (const lane of this.#lanes) lane.generation = this.generation
      this.#enter('ready')
      this.#events.ready(this)
    }
  }

  #end(reason: string): void {
    if (this.#phase === 'ended') return
    const phase = this.#phase
    this.#enter('ended')
    const lost = this.#lanes.map(lane => lane.lose())
    this.#events.ended(this, phase, reason, {
      suspects: lost.flatMap(({ suspects }) => suspects),
      waiting: lost.flatMap(({ waiting }) => waiting),
    })
  }

  #enter(phase: HostPhase): void {
    this.#phase = phase
    this.#phaseSinceMs = performance.now()
  }
}
