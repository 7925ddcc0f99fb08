/** What was measured, for docs/: performance.md says it, performance.svg draws it, performance.json holds it all. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { lineChart } from './chart.ts'
import { growthTable } from './growth.ts'
import { openLoopTable } from './open-loop.ts'
import { type Report, type Results, table } from './report.ts'

/** Writes the files, over what is there. */
export function writePage(folder: string, results: Results): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'performance.json'), `${JSON.stringify(results, null, 2)}\n`)
  if (isDrawn(results)) writeFileSync(join(folder, 'performance.svg'), chartOf(results))
  writeFileSync(join(folder, 'performance.md'), pageOf(results))
}

const code = (text: string) => `\`\`\`\n${text}\n\`\`\`\n`

function pageOf(results: Results): string {
  const { sweep = [results], openLoop, growth, secondsPerRound, rounds } = results
  const machine = `${availableParallelism()} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.versions.node}`
  const sections = [
    '# Performance\n',
    '<!-- written by `npm run bench -- --write`; performance.json holds every number -->\n',
    `On ${machine}, ${new Date().toISOString().slice(0, 10)}. Medians of ${rounds} rounds of ${secondsPerRound} s each; the load`,
    'generator runs beside what it measures, on the same processors. `raw` is the PKCS#11 calls alone, two processes, each on its',
    "own SoftHSM token; `naive` a tutorial's service. CPU is of all processes of a server, for one operation.\n",
    ...(isDrawn(results) ? ['![Throughput and latency](performance.svg)\n'] : []),
    ...sweep.map(report => `## ${report.connections} connections, closed loop\n\n${code(table(report))}`),
  ]
  if (openLoop !== undefined) {
    sections.push(
      '## Fixed rates, open loop\n',
      'Latencies count from when a request was due, so that a stall is charged for every request that waited (coordinated',
      "omission); up to a millisecond of each is the generator's timer.\n",
      code(openLoopTable(openLoop)),
    )
  }
  if (growth !== undefined) {
    sections.push(
      '## Keys in the store\n',
      'Requests go to the keys in use in turn. Rows are verified before their first use, not at the start.\n',
      code(growthTable(growth)),
    )
  }
  return sections.join('\n')
}

/** One run of a closed loop has nothing that a line would show. */
function isDrawn({ sweep, openLoop }: Results): boolean {
  return sweep !== undefined || openLoop !== undefined
}

/** Throughput by connections where there is a sweep, else latencies by percentile. */
function chartOf(results: Results): string {
  const { sweep = [] } = results
  if (sweep.length > 1) {
    return lineChart({
      title: 'Throughput of the daemon',
      x: { label: 'connections', values: sweep.map(({ connections }) => connections) },
      y: { label: 'operations a second' },
      series: operationsOf(results).map(name => ({
        name,
        values: sweep.map(({ operations }) => operations[name]?.daemon?.opsPerSec),
      })),
    })
  }
  const percentiles = [50, 90, 99, 99.9]
  return lineChart({
    title: 'Latency of the daemon at fixed rates',
    x: { label: 'percentile', values: percentiles },
    y: { label: 'microseconds' },
    series: (results.openLoop ?? []).flatMap(({ operation, points }) =>
      points.map(({ askedPerSec, p50Us, p90Us, p99Us, p999Us }) => ({
        name: `${operation} at ${askedPerSec}/s`,
        values: [p50Us, p90Us, p99Us, p999Us],
      })),
    ),
  })
}

function operationsOf({ operations }: Report) {
  return Object.keys(operations) as (keyof Report['operations'])[]
}
