/**
 * `npm run bench`: how close the daemon comes to its tokens. One run measures three servers:
 *
 * | server | what it is                                                              | file             |
 * |--------|-------------------------------------------------------------------------|------------------|
 * | raw    | the PKCS#11 calls alone, two processes, each on its own SoftHSM token    | raw-loop.ts      |
 * | daemon | the sandbox's daemon, two tokens, over HTTP with signed requests         | daemon.ts        |
 * | naive  | Express and graphene-pk11 in one process, a session for each request     | naive-service.ts |
 *
 * The three take turns in every round, so that a machine that slows down does so for all of them. The last line of
 * stdout is the report in JSON.
 */
import { availableParallelism, cpus } from 'node:os'
import { Command, InvalidArgumentError } from 'commander'
import { cpuOfMachine } from './cpu.ts'
import { Daemon } from './daemon.ts'
import { LoadGenerator } from './load-generator.ts'
import { NaiveService } from './naive.ts'
import { type Measurement, OPERATIONS, type Operation, type Server } from './operations.ts'
import { RawTokens } from './raw.ts'
import { DISTURBED_PERCENT, type Report, type Rounds, summariesOf, summarise, table } from './report.ts'

interface Options {
  readonly connections: number
  readonly seconds: number
  readonly warmUp: number
  readonly rounds: number
  readonly operations: readonly Operation[]
  readonly jsonOnly: boolean
  readonly naive: boolean
  readonly daemon: boolean
}

const options = parseOptions()
const held = new AsyncDisposableStack()
let interrupted: NodeJS.Signals | undefined
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupt(signal))

try {
  const report = await bench()
  if (!options.jsonOnly) process.stdout.write(`${heading(report)}\n\n${table(report)}\n\n${legend(report)}\n\n`)
  process.stdout.write(`${JSON.stringify(report)}\n`)
} catch (error) {
  if (interrupted === undefined) progress(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
} finally {
  if (interrupted === undefined) await held.disposeAsync()
}

async function bench(): Promise<Report> {
  const started = await startServers()
  const results: Report['operations'] = {}
  for (const operation of options.operations) {
    const servers = started.filter(server => server.offers(operation))
    const rounds: Rounds = {}
    progress(`${operation}: warming up`)
    for (const server of servers) await server.measure(operation, options.warmUp)
    for (let round = 1; round <= options.rounds; round++) {
      for (const server of servers) {
        const sample = await measure(server, operation, `round ${round}/${options.rounds}`)
        rounds[server.name] = [...(rounds[server.name] ?? []), sample]
      }
    }
    results[operation] = Object.fromEntries(
      Object.entries(rounds).map(([server, samples]) => [server, summarise(samples)]),
    )
  }
  const { connections, rounds, seconds } = options
  return { connections, rounds, secondsPerRound: seconds, operations: results }
}

async function startServers(): Promise<Server[]> {
  const load = held.use(new LoadGenerator(options.connections))
  progress('starting the raw loops')
  const servers: Server[] = [held.use(new RawTokens())]
  if (options.daemon) {
    progress('starting a sandbox')
    const daemon = held.use(new Daemon(load))
    await daemon.start()
    servers.push(daemon)
  }
  if (options.naive) {
    progress('starting the naive service')
    const naive = held.use(new NaiveService(load))
    await naive.start()
    servers.push(naive)
  }
  return servers
}

async function measure(server: Server, operation: Operation, round: string): Promise<Measurement> {
  const machineBefore = cpuOfMachine()
  const startedAt = performance.now()
  const sample = await server.measure(operation, options.seconds)
  const capacityUs = (performance.now() - startedAt) * 1_000 * cpus().length
  const ownUs = (sample.cpuUs + (sample.loadCpuUs ?? 0)) * sample.operations
  const othersCpuPercent = Math.max(0, ((cpuOfMachine() - machineBefore - ownUs) / capacityUs) * 100)
  const numbers = `${Math.round(sample.opsPerSec).toLocaleString('en')} ops/s, ${sample.cpuUs.toFixed(1)} µs/op`
  const others =
    othersCpuPercent > DISTURBED_PERCENT ? `  (others used ${othersCpuPercent.toFixed(0)} % of the CPU)` : ''
  progress(`${operation} ${round} ${server.name.padEnd(6)} ${numbers}${others}`)
  return { ...sample, othersCpuPercent }
}

function heading({ connections, rounds, secondsPerRound }: Report): string {
  const machine = `${availableParallelism()} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.versions.node}`
  return `${connections} connections, median of ${rounds} rounds of ${secondsPerRound} s each; ${machine}`
}

function legend(report: Report): string {
  const lines = [
    'CPU: user and system time of all processes of a server for one operation; the load generator (load) is not in it.',
    'service, HSM hosts: how that of the daemon is split. ± %: half of what the throughput of the rounds differed by.',
    'One key of each kind, plaintexts and messages of 32 bytes, no encryption context.',
  ]
  const summaries = summariesOf(report)
  const leftOut = summaries.reduce((sum, { rounds }) => sum + report.rounds - rounds, 0)
  if (leftOut > 0)
    lines.push(`${leftOut} measurements are left out: others used over ${DISTURBED_PERCENT} % of the CPU.`)
  const disturbed = summaries.filter(({ othersCpuPercent }) => othersCpuPercent > DISTURBED_PERCENT).length
  if (disturbed > 0) lines.push(`${disturbed} lines were disturbed in every round: run this again on a quiet machine.`)
  return lines.join('\n')
}

/** Ends the children, who clean up after themselves, and then this process as the signal would have. */
function interrupt(signal: NodeJS.Signals): void {
  interrupted = signal
  progress(`${signal}: cleaning up`)
  held.disposeAsync().finally(() => process.kill(process.pid, signal))
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`)
}

function parseOptions(): Options {
  const command = new Command('bench')
    .description("Measures the daemon against its tokens' own limit and against a naive service.")
    .option('--connections <number>', 'connections of the load generator', positiveInteger, 32)
    .option('--seconds <number>', 'length of one measurement', positiveNumber, 3)
    .option('--warm-up <number>', 'seconds before the rounds, for compilers and caches', positiveNumber, 5)
    .option('--rounds <number>', 'measurements of each server and operation', positiveInteger, 3)
    .option('--operations <list>', `some of ${OPERATIONS.join(',')}`, operationList, [...OPERATIONS])
    .option('--json-only', 'print nothing but the JSON line on stdout', false)
    .option('--no-naive', 'leave the naive service out')
    .option('--no-daemon', 'leave the daemon out')
  return command.parse().opts<Options>()
}

function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('must be a positive whole number.')
  return Number(text)
}

function positiveNumber(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= 3_600)) throw new InvalidArgumentError('must be a number of seconds above 0.')
  return value
}

function operationList(text: string): Operation[] {
  const names = text.split(',')
  const unknown = names.find(name => !OPERATIONS.includes(name as Operation))
  if (unknown !== undefined) throw new InvalidArgumentError(`"${unknown}" is not one of ${OPERATIONS.join(', ')}.`)
  return names as Operation[]
}
