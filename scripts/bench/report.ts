/** Medians of the rounds, as a table for people and one line of JSON for programs. */
import type { Measurement, Operation, ServerName } from './operations.ts'

/** All measurements of one operation, round by round. */
export type Rounds = Partial<Record<ServerName, Measurement[]>>

export interface Summary {
  readonly opsPerSec: number
  readonly cpuUs: number
  readonly serviceCpuUs?: number
  readonly hostsCpuUs?: number
  readonly loadCpuUs?: number
  /** The highest less the lowest throughput of the rounds, in percent of the median: what a difference must exceed. */
  readonly spreadPercent: number
  /** Rounds that these medians are of: disturbed ones are left out where others are left. */
  readonly rounds: number
  /** The largest share of the machine that others used in one of them. */
  readonly othersCpuPercent: number
}

export interface Report {
  readonly connections: number
  readonly rounds: number
  readonly secondsPerRound: number
  readonly operations: Partial<Record<Operation, Partial<Record<ServerName, Summary>>>>
  /** What authorisation costs (authorisation.ts); absent without the daemon, or without GenerateDataKey. */
  readonly authorisation?: Authorisation
}

/** GenerateDataKey with the default key policy and with many policies and grants, in turn. */
export interface Authorisation {
  readonly defaultPolicy: Summary
  readonly manyPolicies: Summary
  /** CPU of a request with many policies, in CPUs of one with the default policy: 1.05 at most. */
  readonly cpuRatio: number
}

export function authorisationOf(
  defaultPolicy: readonly Measurement[],
  manyPolicies: readonly Measurement[],
): Authorisation {
  const [before, after] = [summarise(defaultPolicy), summarise(manyPolicies)]
  // Neighbours in time are compared: a machine that slows down does so for both.
  const ratios = manyPolicies.map((sample, at) => sample.cpuUs / defaultPolicy[at]!.cpuUs)
  return { defaultPolicy: before, manyPolicies: after, cpuRatio: Math.round(median(ratios) * 1_000) / 1_000 }
}

/** A line below the table. */
export function authorisationLine({ defaultPolicy, manyPolicies, cpuRatio }: Authorisation): string {
  const of = ({ cpuUs }: Summary) => `${cpuUs.toFixed(1)} µs/op`
  return `Authorisation: GenerateDataKey takes ${of(manyPolicies)} with 10 statements, 3 identity policies and 100 grants, ${of(defaultPolicy)} with the default policy: CPU × ${cpuRatio.toFixed(3)}.`
}

/** Others' share of the machine above which a measurement is of them as much as of the server. */
export const DISTURBED_PERCENT = 10

/** Of the measurements that nobody disturbed, or of all where there is none. */
export function summarise(measurements: readonly Measurement[]): Summary {
  const quiet = measurements.filter(({ othersCpuPercent }) => othersCpuPercent <= DISTURBED_PERCENT)
  const samples = quiet.length > 0 ? quiet : measurements
  const throughputs = samples.map(sample => sample.opsPerSec)
  const opsPerSec = median(throughputs)
  const of = (name: 'serviceCpuUs' | 'hostsCpuUs' | 'loadCpuUs') => {
    const values = samples.map(sample => sample[name]).filter(value => value !== undefined)
    return values.length === 0 ? {} : { [name]: round(median(values)) }
  }
  return {
    opsPerSec: Math.round(opsPerSec),
    cpuUs: round(median(samples.map(sample => sample.cpuUs))),
    ...of('serviceCpuUs'),
    ...of('hostsCpuUs'),
    ...of('loadCpuUs'),
    rounds: samples.length,
    othersCpuPercent: round(Math.max(...samples.map(sample => sample.othersCpuPercent))),
    spreadPercent: round(((Math.max(...throughputs) - Math.min(...throughputs)) / opsPerSec) * 100),
  }
}

/** The summaries of a report, in its order. */
export function summariesOf({ operations }: Report): Summary[] {
  return Object.values(operations).flatMap(servers => Object.values(servers))
}

const COLUMNS = ['operation', 'server', 'ops/s', '± %', '÷ raw', 'CPU µs/op', '÷ raw', 'service', 'HSM hosts', 'load']

export function table({ operations }: Report): string {
  const rows = Object.entries(operations).flatMap(([operation, servers]) =>
    Object.entries(servers).map(([server, summary]) => {
      const raw = server === 'raw' ? undefined : servers.raw
      return [
        operation,
        server,
        summary.opsPerSec.toLocaleString('en'),
        (summary.spreadPercent / 2).toFixed(1),
        raw === undefined ? '' : (summary.opsPerSec / raw.opsPerSec).toFixed(2),
        summary.cpuUs.toFixed(1),
        raw === undefined ? '' : (summary.cpuUs / raw.cpuUs).toFixed(2),
        summary.serviceCpuUs?.toFixed(1) ?? '',
        summary.hostsCpuUs?.toFixed(1) ?? '',
        summary.loadCpuUs?.toFixed(1) ?? '',
      ]
    }),
  )
  const lines = [COLUMNS, ...rows]
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map(line => line[column]!.length)))
  const draw = (line: readonly string[]) =>
    line
      .map((cell, column) => (column < 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd()
  const [head, ...body] = lines.map(draw)
  return [head, '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2)), ...body].join('\n')
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const round = (value: number) => Math.round(value * 10) / 10
