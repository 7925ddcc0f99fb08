/**
 * What was measured, for docs/: performance.md shows it between two marks and keeps what stands around them, performance.json
 * holds it all, and the plots draw it.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { authorisationLine } from './authorisation-cost.ts'
import { lineChart } from './chart.ts'
import { growthTable } from './growth.ts'
import { openLoopTable } from './open-loop.ts'
import type { Operation } from './operations.ts'
import { connectionsText, disturbances, drawTable, type Report, type Results, table } from './report.ts'

/** Of what machine, and when. */
export interface Occasion {
  readonly machine: string
  /** In ISO 8601. */
  readonly date: string
}

const PAGE = fileURLToPath(new URL('../../docs/performance.md', import.meta.url))
const BEGIN = '<!-- measured -->\n'
const END = '<!-- /measured -->\n'
const PERCENTILES = [50, 90, 99, 99.9]

/** Writes the files, over what is there. */
export function writePage(folder: string, results: Results, occasion: Occasion): void {
  mkdirSync(folder, { recursive: true })
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
  const { throughput, latencies } = chartsOf(results)
  write('performance.md', pageOf(readFileSync(PAGE, 'utf8'), results, occasion))
  write('performance.json', `${JSON.stringify({ ...occasion, ...results }, null, 2)}\n`)
  if (throughput !== undefined) write('performance-throughput.svg', throughput)
  if (latencies !== undefined) write('performance-latencies.svg', latencies)
}

/** The page with these results in place of those that it has. Throws when it has no place for them. */
export function pageOf(page: string, results: Results, occasion: Occasion): string {
  const [before, rest] = page.split(BEGIN)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error(`the page has no ${BEGIN.trim()} … ${END.trim()}`)
  return before + BEGIN + measuredText(results, occasion) + END + after
}

const code = (text: string) => `\`\`\`text\n${text}\n\`\`\`\n`

function measuredText(results: Results, { machine, date }: Occasion): string {
  const { sweep = [], openLoop, growth, authorisation, rounds, secondsPerRound } = results
  const charts = chartsOf(results)
  const notes = disturbances(results)
  const sections = [
    `On ${machine}, ${date.slice(0, 10)}: medians of ${rounds} rounds of ${secondsPerRound} s each.`,
    '[performance.json](performance.json) has every number.\n',
    `## ${connectionsText(results)}\n`,
    code(table(results)),
    ...(notes.length > 0 ? [`${notes.join('\n')}\n`] : []),
    ...(authorisation === undefined ? [] : [`${authorisationLine(authorisation)}\n`]),
  ]
  if (sweep.length > 1) {
    sections.push('## From few connections to many\n')
    if (charts.throughput !== undefined)
      sections.push('![Throughput of the daemon by connections](performance-throughput.svg)\n')
    sections.push(
      'Operations a second of the daemon:\n',
      code(sweepTable(sweep, ({ opsPerSec }) => opsPerSec.toLocaleString('en'))),
      'CPU of all of its processes for one operation, in µs:\n',
      code(sweepTable(sweep, ({ cpuUs }) => cpuUs.toFixed(1))),
    )
  }
  if (openLoop !== undefined) {
    sections.push('## At fixed rates\n')
    if (charts.latencies !== undefined)
      sections.push('![Latencies of the daemon at fixed rates](performance-latencies.svg)\n')
    sections.push(code(openLoopTable(openLoop)))
  }
  if (growth !== undefined) sections.push('## With many keys in the store\n', code(growthTable(growth)))
  return sections.join('\n')
}

function sweepTable(
  sweep: readonly Report[],
  cell: (daemon: { readonly opsPerSec: number; readonly cpuUs: number }) => string,
): string {
  const columns = ['connections', ...sweep.map(({ connections }) => String(connections))]
  const rows = operationsOf(sweep).map(operation => [
    operation,
    ...sweep.map(({ operations }) => {
      const daemon = operations[operation]?.daemon
      return daemon === undefined ? '' : cell(daemon)
    }),
  ])
  return drawTable(columns, rows, 1)
}

/** Undefined where there would be no line. */
function chartsOf({ sweep = [], openLoop = [] }: Results): { throughput?: string; latencies?: string } {
  const operations = operationsOf(sweep)
  // The daemon in the most work that it was given.
  const paced = openLoop.flatMap(({ operation, points }) => {
    const point = points.toSorted((a, b) => a.askedPerSec - b.askedPerSec).at(-1)
    return point === undefined ? [] : [{ operation, ...point }]
  })
  return {
    ...(sweep.length > 1 && operations.length > 0 ? { throughput: throughputChart(sweep, operations) } : {}),
    ...(paced.length === 0 ? {} : { latencies: latencyChart(paced) }),
  }
}

function throughputChart(sweep: readonly Report[], operations: readonly Operation[]): string {
  return lineChart({
    title: 'Throughput of the daemon',
    x: { label: 'connections', values: sweep.map(({ connections }) => connections) },
    y: { label: 'operations a second' },
    series: operations.map(name => ({
      name,
      values: sweep.map(({ operations }) => operations[name]?.daemon?.opsPerSec),
    })),
  })
}

type Paced = { readonly operation: Operation } & NonNullable<Results['openLoop']>[number]['points'][number]

function latencyChart(paced: readonly Paced[]): string {
  return lineChart({
    title: 'Latencies of the daemon at fixed rates, by percentile',
    x: { label: 'percentile of requests', values: PERCENTILES },
    y: { label: 'microseconds', logarithmic: true },
    series: paced.map(({ operation, askedPerSec, p50Us, p90Us, p99Us, p999Us }) => ({
      name: `${operation}, ${askedPerSec.toLocaleString('en')}/s`,
      values: [p50Us, p90Us, p99Us, p999Us],
    })),
  })
}

/** Those that the daemon was measured with. */
function operationsOf(reports: readonly Report[]): Operation[] {
  const names = reports.flatMap(({ operations }) => Object.keys(operations) as Operation[])
  return [...new Set(names)].filter(name => reports.some(({ operations }) => operations[name]?.daemon !== undefined))
}
