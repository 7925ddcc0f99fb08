/** What a pool counts and times, under the labels of its region. */
import type { Metrics } from '../../telemetry/metrics.ts'
import type { HsmFault } from '../contract/fault.ts'
import { TOKEN_STATES } from './circuit.ts'
import type { Errand } from './errand.ts'
import type { Member } from './member.ts'

const MICROSECONDS_PER_SECOND = 1_000_000
const MS_PER_SECOND = 1_000
const BYTES_PER_MB = 1_048_576

export class PoolMetrics {
  readonly #metrics: Metrics
  readonly #region: string
  readonly #observers = new Map<string, (seconds: number) => void>()

  constructor(metrics: Metrics, region: string) {
    this.#metrics = metrics
    this.#region = region
  }

  answered({ label: token }: Member, { name, startedAtMs }: Errand, microseconds: number): void {
    const region = this.#region
    this.#observe(`${token}/${name}`, () => this.#metrics.commandSeconds.labels({ region, token, command: name }))(
      microseconds / MICROSECONDS_PER_SECOND,
    )
    this.#observe(name, () => this.#metrics.commandRoundTripSeconds.labels({ region, command: name }))(
      (performance.now() - startedAtMs) / MS_PER_SECOND,
    )
  }

  waited(ms: number): void {
    this.#metrics.waitSeconds.observe({ region: this.#region }, ms / MS_PER_SECOND)
  }

  faulted({ label: token }: Member, { kind }: HsmFault): void {
    this.#metrics.commandFaults.inc({ region: this.#region, token, kind })
  }

  repeated({ label: token }: Member): void {
    this.#metrics.commandRepeats.inc({ region: this.#region, token })
  }

  recalled({ label: token }: Member): void {
    this.#metrics.commandRecalls.inc({ region: this.#region, token })
  }

  restarted({ label: token }: Member): void {
    this.#metrics.hostRestarts.inc({ region: this.#region, token })
  }

  recycled({ label: token }: Member): void {
    this.#metrics.hostRecycles.inc({ region: this.#region, token })
  }

  probed({ label: token }: Member, passed: boolean): void {
    this.#metrics.probes.inc({ region: this.#region, token, outcome: passed ? 'passed' : 'failed' })
  }

  report(members: readonly Member[], waiting: number): void {
    const region = this.#region
    const { inFlight, tokenState, cachedHbks, openSessions, hostMemoryBytes, hosts } = this.#metrics
    this.#metrics.waiting.set({ region }, waiting)
    for (const member of members) {
      const labels = { region, token: member.label }
      inFlight.set(labels, member.inFlight)
      hosts.set(labels, member.pids.length)
      cachedHbks.set(labels, member.sum('cachedHbks'))
      openSessions.set(labels, member.sum('sessions'))
      hostMemoryBytes.set(labels, member.sum('residentMemoryMb') * BYTES_PER_MB)
      for (const state of TOKEN_STATES) tokenState.set({ ...labels, state }, state === member.state ? 1 : 0)
    }
  }

  /** Forgets what a token is at; what it has done stays counted. */
  left({ label: token }: Member): void {
    const labels = { region: this.#region, token }
    const { inFlight, tokenState, cachedHbks, openSessions, hostMemoryBytes, hosts } = this.#metrics
    for (const gauge of [inFlight, cachedHbks, openSessions, hostMemoryBytes, hosts]) gauge.remove(labels)
    for (const state of TOKEN_STATES) tokenState.remove({ ...labels, state })
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
}
