/** What a pool counts and times, under the labels of its region. */
import type { LatencySeries } from '../../telemetry/latency-histogram.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { CommandName } from '../contract/commands.ts'
import { FAULT_KINDS, type HsmFault } from '../contract/fault.ts'
import { TOKEN_STATES } from './circuit.ts'
import { computationOf } from './computation.ts'
import type { Errand } from './errand.ts'
import type { Member, Progress } from './member.ts'

const MICROSECONDS_PER_SECOND = 1_000_000
const MS_PER_SECOND = 1_000
const BYTES_PER_MB = 1_048_576
const REFUSALS = ['busy', 'unavailable'] as const
const PROBE_OUTCOMES = ['passed', 'failed'] as const

/** What a pool knows of itself when somebody asks. */
export interface PoolFigures {
  readonly waiting: number
  /** Commands that it takes, in flight and waiting together. */
  readonly limit: number
  readonly ready: boolean
}

export class PoolMetrics {
  readonly #metrics: Metrics
  readonly #region: string
  readonly #wait: LatencySeries
  /** Of each token by its label, by command and then by mechanism: looked up once by their labels. */
  readonly #hostSeries = new Map<string, Map<string, Map<string, LatencySeries>>>()
  /** Labels of the tokens that the gauges tell of. */
  readonly #tokens = new Set<string>()
  readonly #roundTrips = new Map<string, LatencySeries>()

  /** What may happen to these tokens stands at nought from the start: an increase from nothing is none to Prometheus. */
  constructor(metrics: Metrics, region: string, tokens: readonly string[]) {
    this.#metrics = metrics
    this.#region = region
    this.#wait = metrics.waitSeconds.labels({ region })
    for (const reason of REFUSALS) metrics.commandsRefused.inc({ region, reason }, 0)
    for (const token of tokens) this.#start(token)
  }

  #start(token: string): void {
    const labels = { region: this.#region, token }
    this.#tokens.add(token)
    const { commandRepeats, commandFailovers, commandRecalls, hostRestarts, hostRecycles } = this.#metrics
    const { commandFaults, probes, tokenStateChanges } = this.#metrics
    for (const counter of [commandRepeats, commandFailovers, commandRecalls, hostRestarts, hostRecycles])
      counter.inc(labels, 0)
    for (const kind of FAULT_KINDS) commandFaults.inc({ ...labels, kind }, 0)
    for (const outcome of PROBE_OUTCOMES) probes.inc({ ...labels, outcome }, 0)
    for (const state of TOKEN_STATES) tokenStateChanges.inc({ ...labels, state }, 0)
  }

  answered({ label: token }: Member, errand: Errand, microseconds: number, nowMs: number): void {
    const { name, args, startedAtMs, lastFault } = errand
    this.#hostSeriesOf(token, name, computationOf(name, args)).observe(microseconds / MICROSECONDS_PER_SECOND)
    this.#roundTripsOf(name).observe((nowMs - startedAtMs) / MS_PER_SECOND)
    if (lastFault !== undefined && lastFault.label !== token)
      this.#metrics.commandFailovers.inc({ region: this.#region, token })
  }

  waited(ms: number): void {
    this.#wait.observe(ms / MS_PER_SECOND)
  }

  refused(reason: (typeof REFUSALS)[number]): void {
    this.#metrics.commandsRefused.inc({ region: this.#region, reason })
  }

  stateChanged({ label: token, state }: Member): void {
    this.#metrics.tokenStateChanges.inc({ region: this.#region, token, state })
  }

  progressed({ label: token }: Member, { cpuSeconds, hbkImports }: Progress): void {
    this.#metrics.hostCpuSeconds.inc({ region: this.#region, token }, cpuSeconds)
    this.#metrics.hbkImports.inc({ region: this.#region, token }, hbkImports)
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

  report(members: readonly Member[], { waiting, limit, ready }: PoolFigures): void {
    const region = this.#region
    const { inFlight, tokenState, cachedHbks, openSessions, hostMemoryBytes, hosts, lanes } = this.#metrics
    this.#follow(members.map(({ label }) => label))
    this.#metrics.waiting.set({ region }, waiting)
    this.#metrics.commandLimit.set({ region }, limit)
    this.#metrics.regionReady.set({ region }, ready ? 1 : 0)
    for (const member of members) {
      const labels = { region, token: member.label }
      inFlight.set(labels, member.inFlight)
      hosts.set(labels, member.pids.length)
      lanes.set(labels, member.lanes.length)
      cachedHbks.set(labels, member.sum('cachedHbks'))
      openSessions.set(labels, member.sum('sessions'))
      hostMemoryBytes.set(labels, member.sum('residentMemoryMb') * BYTES_PER_MB)
      for (const state of TOKEN_STATES) tokenState.set({ ...labels, state }, state === member.state ? 1 : 0)
    }
  }

  /** Forgets what a token is at; what it has done stays counted. */
  left({ label: token }: Member): void {
    const labels = { region: this.#region, token }
    const { inFlight, tokenState, cachedHbks, openSessions, hostMemoryBytes, hosts, lanes } = this.#metrics
    for (const gauge of [inFlight, cachedHbks, openSessions, hostMemoryBytes, hosts, lanes]) gauge.remove(labels)
    for (const state of TOKEN_STATES) tokenState.remove({ ...labels, state })
  }

  /** Tokens come and go while the pool serves: one that has left is in no state. */
  #follow(present: readonly string[]): void {
    for (const token of present) if (!this.#tokens.has(token)) this.#start(token)
    const { inFlight, tokenState, cachedHbks, openSessions, hostMemoryBytes, hosts, lanes } = this.#metrics
    for (const token of [...this.#tokens].filter(label => !present.includes(label))) {
      const labels = { region: this.#region, token }
      this.#tokens.delete(token)
      for (const gauge of [inFlight, cachedHbks, openSessions, hostMemoryBytes, hosts, lanes]) gauge.remove(labels)
      for (const state of TOKEN_STATES) tokenState.remove({ ...labels, state })
    }
  }

  #hostSeriesOf(token: string, command: CommandName, mechanism: string): LatencySeries {
    const held = this.#hostSeries.get(token)?.get(command)?.get(mechanism)
    return held ?? this.#newHostSeries(token, command, mechanism)
  }

  #newHostSeries(token: string, command: CommandName, mechanism: string): LatencySeries {
    const byCommand = this.#hostSeries.get(token) ?? new Map<string, Map<string, LatencySeries>>()
    const byMechanism = byCommand.get(command) ?? new Map<string, LatencySeries>()
    const series = this.#metrics.commandSeconds.labels({ region: this.#region, token, command, mechanism })
    this.#hostSeries.set(token, byCommand.set(command, byMechanism.set(mechanism, series)))
    return series
  }

  #roundTripsOf(command: CommandName): LatencySeries {
    let series = this.#roundTrips.get(command)
    if (series === undefined) {
      series = this.#metrics.commandRoundTripSeconds.labels({ region: this.#region, command })
      this.#roundTrips.set(command, series)
    }
    return series
  }
}
