/**
 * `npm run bench`: how close the daemon comes to its tokens. One run measures three servers:
 *
 * | server | what it is                                                              | file             |
 * |--------|-------------------------------------------------------------------------|------------------|
 * | raw    | the PKCS#11 calls alone, two processes, each on its own SoftHSM token    | raw-loop.ts      |
 * | daemon | the sandbox's daemon, two tokens, over HTTP with signed requests         | daemon.ts        |
 * | naive  | Express and graphene-pk11 in one process, a session for each request     | naive-service.ts |
 *
 * The three take turns in every round, so that a machine that slows down does so for all of them. What else can be
 * measured: several numbers of connections (`--connections 1,8,64`), latencies at fixed rates (`--rates 50%`), and the daemon
 * with up to a million keys in its store (`--growth`). The last line of stdout is everything in JSON.
 */
import { availableParallelism, cpus } from 'node:os'
import { authorisationLine, measureAuthorisation } from './authorisation-cost.ts'
import { closedLoop } from './closed-loop.ts'
import { Daemon } from './daemon.ts'
import { growth, growthTable } from './growth.ts'
import { LoadGenerator } from './load-generator.ts'
import { NaiveService } from './naive.ts'
import { openLoop, openLoopTable } from './open-loop.ts'
import type { Server } from './operations.ts'
import { GROWTH_SIZES, PAGE_FOLDER, parseOptions } from './options.ts'
import { writePage } from './page.ts'
import { RawTokens } from './raw.ts'
import { connectionsText, disturbances, type Report, type Results, table } from './report.ts'

const USUAL_CONNECTIONS = 32
/** An open loop needs one for each request that is under way: enough for a stall of tens of milliseconds. */
const OPEN_LOOP_CONNECTIONS = 256

const options = parseOptions()
const held = new AsyncDisposableStack()
let interrupted: NodeJS.Signals | undefined
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupt(signal))

try {
  const results = await bench()
  if (!options.jsonOnly) process.stdout.write(textOf(results))
  if (options.write !== undefined) {
    const folder = options.write === true ? PAGE_FOLDER : options.write
    writePage(folder, results, { machine: machine(), date: new Date().toISOString() })
  }
  process.stdout.write(`${JSON.stringify(results)}\n`)
} catch (error) {
  if (interrupted === undefined) progress(`bench: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
} finally {
  if (interrupted === undefined) await held.disposeAsync()
}

async function bench(): Promise<Results> {
  const load = held.use(new LoadGenerator(options.connections[0]!))
  const { servers, raw, daemon } = await startServers(load)
  const sweep: Report[] = []
  for (const connections of options.connections) {
    load.connections = connections
    sweep.push(await closedLoop(servers, { ...options, connections }, progress))
  }
  // What is compared from run to run is of the usual number of connections, wherever that stands in the list.
  const usual = sweep.find(({ connections }) => connections === USUAL_CONNECTIONS) ?? sweep.at(-1)!
  load.connections = usual.connections
  const authorisation =
    daemon === undefined || !options.operations.includes('GenerateDataKey')
      ? {}
      : { authorisation: await measureAuthorisation(daemon, options, progress) }
  load.connections = OPEN_LOOP_CONNECTIONS
  const openLoopRuns =
    daemon === undefined || options.rates === undefined
      ? {}
      : { openLoop: await openLoop(daemon, usual, { ...options, rates: options.rates }, progress) }
  const results = { ...usual, ...(sweep.length > 1 ? { sweep } : {}), ...authorisation, ...openLoopRuns }
  if (options.growth === undefined) return results
  const { connections } = usual
  load.connections = connections
  const sizes = options.growth === true ? GROWTH_SIZES : options.growth
  return { ...results, growth: await growth(load, raw, { ...options, connections, sizes }, progress) }
}

interface Servers {
  readonly servers: Server[]
  readonly raw: RawTokens
  readonly daemon: Daemon | undefined
}

async function startServers(load: LoadGenerator): Promise<Servers> {
  progress('starting the raw loops')
  const raw = held.use(new RawTokens())
  const servers: Server[] = [raw]
  let daemon: Daemon | undefined
  if (options.daemon) {
    progress('starting a sandbox')
    daemon = held.use(new Daemon(load, options.processes))
    await daemon.start()
    servers.push(daemon)
  }
  if (options.naive) {
    progress('starting the naive service')
    const naive = held.use(new NaiveService(load))
    await naive.start()
    servers.push(naive)
  }
  return { servers, raw, daemon }
}

function textOf(results: Results): string {
  const { sweep = [results], authorisation, openLoop: paced } = results
  const closed = sweep.map(report => `${heading(report)}\n\n${table(report)}\n\n${legend(report)}\n\n`)
  const below = [
    authorisation && authorisationLine(authorisation),
    paced && openLoopTable(paced),
    results.growth && growthTable(results.growth),
  ]
  return [...closed, ...below.flatMap(text => (text === undefined ? [] : [`${text}\n\n`]))].join('')
}

function heading(report: Report): string {
  const { rounds, secondsPerRound } = report
  return `${connectionsText(report)}, median of ${rounds} rounds of ${secondsPerRound} s each; ${machine()}`
}

function machine(): string {
  return `${availableParallelism()} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.versions.node}`
}

function legend(report: Report): string {
  return [
    'CPU: user and system time of all processes of a server for one operation; the load generator (load) is not in it.',
    'service, HSM hosts: how that of the daemon is split. ± %: half of what the throughput of the rounds differed by.',
    'One key of each kind, plaintexts and messages of 32 bytes, no encryption context.',
    ...disturbances(report),
  ].join('\n')
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
