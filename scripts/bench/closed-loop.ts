/** Rounds of a closed loop: all servers take turns in each, so that a machine that slows down does so for all of them. */
import { cpus } from 'node:os'
import { cpuOfMachine } from './cpu.ts'
import type { Measurement, Operation, Sample, Subject } from './operations.ts'
import { DISTURBED_PERCENT, type Report, type Rounds, summarise } from './report.ts'

/** The first operation is the first that a server runs at all: its compilers need some 100,000 requests to settle. */
const FIRST_WARM_UP = 3

interface Plan {
  readonly connections: number
  readonly operations: readonly Operation[]
  readonly rounds: number
  readonly seconds: number
  readonly warmUp: number
}

export async function closedLoop(
  started: readonly Subject[],
  { connections, operations, rounds: count, seconds, warmUp }: Plan,
  progress: (line: string) => void,
): Promise<Report> {
  const results: Report['operations'] = {}
  for (const operation of operations) {
    const servers = started.filter(server => server.offers(operation))
    const rounds: Rounds = {}
    progress(`${operation}, ${connections} connections: warming up`)
    const settles = operation === operations[0] ? FIRST_WARM_UP * warmUp : warmUp
    for (const server of servers) await server.measure(operation, settles)
    for (let round = 1; round <= count; round++) {
      for (const server of servers) {
        const sample = await measured(() => server.measure(operation, seconds))
        rounds[server.name] = [...(rounds[server.name] ?? []), sample]
        progress(`${operation} round ${round}/${count} ${server.name.padEnd(6)} ${lineOf(sample)}`)
      }
    }
    results[operation] = Object.fromEntries(
      Object.entries(rounds).map(([server, samples]) => [server, summarise(samples)]),
    )
  }
  return { connections, rounds: count, secondsPerRound: seconds, operations: results }
}

/** A sample, and what others used of the machine meanwhile. */
export async function measured(take: () => Promise<Sample>): Promise<Measurement> {
  const machineBefore = cpuOfMachine()
  const startedAt = performance.now()
  const sample = await take()
  const capacityUs = (performance.now() - startedAt) * 1_000 * cpus().length
  const ownUs = (sample.cpuUs + (sample.loadCpuUs ?? 0)) * sample.operations
  const othersCpuPercent = Math.max(0, ((cpuOfMachine() - machineBefore - ownUs) / capacityUs) * 100)
  return { ...sample, othersCpuPercent }
}

/** For whoever waits. */
export function lineOf({ opsPerSec, cpuUs, othersCpuPercent }: Measurement): string {
  const numbers = `${Math.round(opsPerSec).toLocaleString('en')} ops/s, ${cpuUs.toFixed(1)} µs/op`
  return othersCpuPercent > DISTURBED_PERCENT
    ? `${numbers}  (others used ${othersCpuPercent.toFixed(0)} % of the CPU)`
    : numbers
}
