/** Medians of the rounds, as a table for people and one line of JSON for programs. */
import type { Authorisation } from './authorisation-cost.ts'
import type { GrowthPoint } from './growth.ts'
import type { OpenLoopRun } from './open-loop.ts'
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
}

/** What one run of the bench gives: that of the usual number of connections, and what else was asked for. */
export interface Results extends Report {
  readonly sweep?: readonly Report[]
  /** Absent without the daemon, or without GenerateDataKey. */
  readonly authorisation?: Authorisation
  readonly openLoop?: readonly OpenLoopRun[]
  readonly growth?: readonly GrowthPoint[]
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

export function connectionsText({ connections }: Report): string {
  return connections === 1 ? '1 connection' : `${connections} connections`
}

/** What others on the machine did to the measurements, in sentences; none when they did nothing. */
export function disturbances(report: Report): string[] {
  const summaries = summariesOf(report)
  const leftOut = summaries.reduce((sum, { rounds }) => sum + report.rounds - rounds, 0)
  const disturbed = summaries.filter(({ othersCpuPercent }) => othersCpuPercent > DISTURBED_PERCENT).length
  return [
    ...(leftOut > 0
      ? [`${leftOut} measurements are left out: others used over ${DISTURBED_PERCENT} % of the CPU.`]
      : []),
    ...(disturbed > 0 ? [`${disturbed} lines were disturbed in every round: run this again on a quiet machine.`] : []),
  ]
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
  return drawTable(COLUMNS, rows, 2)
}

/** Columns of equal width; the first so many are text, the others numbers. */
export function drawTable(columns: readonly string[], rows: readonly (readonly string[])[], texts: number): string {
  const lines = [columns, ...rows]
  const widths = columns.map((_, column) => Math.max(...lines.map(line => line[column]!.length)))
  const draw = (line: readonly string[]) =>
    line
      .map((cell, column) => (column < texts ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join('  ')
      .trimEnd()
  const [head, ...body] = lines.map(draw)
  return [head, '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2)), ...body].join('\n')
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

const round = (value: number) => Math.round(value * 10) / 10
