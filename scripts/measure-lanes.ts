/**
 * What threads and processes make of a token that takes long for a call: a SoftHSM behind the rig, which waits for so many
 * milliseconds in C_DeriveKey, one call of each command, and a closed loop of data keys through the pool.
 *
 *   ./scripts/node scripts/measure-lanes.ts [HOSTSxTHREADS@MS ...]
 *
 * Prints a line for each, and last one JSON line. `share` is the throughput as a part of sessions ÷ (delay + undelayed
 * command time); `cpuUs` is what a command takes of the processors, pool and hosts together, which tells a machine that is
 * too small, or busy otherwise, from lanes that wait; `residentMb` is what all hosts of the token hold.
 */
import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import { contextHash } from '../src/formats/aad.ts'
import { kidOf, newKeyId } from '../src/model/key-id.ts'
import { startLoad } from '../test/support/load.ts'
import { startPool, type WatchedPool } from '../test/support/pools.ts'
import { waitUntil } from '../test/support/processes.ts'
import { labelOf, makeTokenDomain, type TokenDomain } from '../test/support/tokens.ts'
import { buildFaultyModule, callsOf, type FaultyModule, makeFaulty } from './chaos/faulty-module.ts'

const DEFAULT = ['1x4@2', '1x16@10', '1x64@20']
/** Each thread compiles for itself, and a token that waits gives it little to learn from in a second. */
const WARM_MS = 20_000
const MEASURE_MS = 5_000
const READY_MS = 120_000
/** Callers for each session, so that none waits for a caller. */
const CALLERS_PER_SESSION = 3
const MICROSECONDS_PER_TICK = 10_000
const BYTES_PER_MB = 1_048_576

interface Shape {
  readonly name: string
  readonly hosts: number
  readonly threads: number
  readonly delayMs: number
}

interface Measured extends Shape {
  readonly perSecond: number
  readonly share: number
  readonly cpuUs: number
  readonly residentMb: number
}

function shapeOf(name: string): Shape {
  const match = /^(\d+)x(\d+)@(\d+)$/.exec(name)
  if (match === null) throw new InvalidArgumentError('it must look like 1x16@10')
  const [hosts, threads, delayMs] = match.slice(1).map(Number) as [number, number, number]
  return { name, hosts, threads, delayMs }
}

function addShape(name: string, shapes: Shape[] = []): Shape[] {
  return [...shapes, shapeOf(name)]
}

async function measure(
  tokens: TokenDomain,
  module: FaultyModule,
  shape: Shape,
  undelayedMs: number,
): Promise<Measured> {
  const { hosts, threads, delayMs } = shape
  const configuration = tokens.configurationOf(module.location, { threads })
  const { pool, metrics } = startPool([{ label: labelOf(module.location), configuration, hosts }])
  try {
    await waitUntil(() => pool.members.every(({ pids }) => pids.length === hosts), READY_MS)
    const request = { account: '000000000001', keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' }
    const record = Buffer.from((await pool.call('createBackingKey', { ...request, kid: kidOf(newKeyId()) })).record)
    const ekt = { record, digest: hash('sha256', record, 'buffer') }
    const args = { ekt, lengthBytes: 32, contextHash: contextHash(new Map()), plaintextWanted: true }
    if (delayMs > 0) module.set('wait', delayMs, callsOf('C_DeriveKey'))
    const load = startLoad(hosts * threads * CALLERS_PER_SESSION, () => pool.call('generateDataKey', args))
    await new Promise(resolve => setTimeout(resolve, WARM_MS))
    const [before, startedAt, cpuBefore] = [load.answered(), performance.now(), cpuMicroseconds(pool)]
    await new Promise(resolve => setTimeout(resolve, MEASURE_MS))
    const answered = load.answered() - before
    const perSecond = (answered / (performance.now() - startedAt)) * 1_000
    const cpuUs = Math.round((cpuMicroseconds(pool) - cpuBefore) / answered)
    const { failures } = await load.stop()
    if (failures[0] !== undefined) throw failures[0]
    pool.report()
    const [memory] = (await metrics.hostMemoryBytes.get()).values
    const residentMb = Math.round((memory?.value ?? 0) / BYTES_PER_MB)
    const best = (1_000 * hosts * threads) / (delayMs + undelayedMs)
    return {
      ...shape,
      perSecond: Math.round(perSecond),
      share: Math.round((100 * perSecond) / best) / 100,
      cpuUs,
      residentMb,
    }
  } finally {
    module.set('pass')
    await pool.close()
  }
}

/** What this process and the hosts have taken so far: utime and stime of proc_pid_stat(5), in hundredths of a second. */
function cpuMicroseconds({ members }: WatchedPool['pool']): number {
  const { user, system } = process.cpuUsage()
  const ticks = members.flatMap(({ pids }) =>
    pids.map(pid => {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
      const [utime, stime] = stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .slice(11, 13)
      return Number(utime) + Number(stime)
    }),
  )
  return user + system + ticks.reduce((sum, each) => sum + each, 0) * MICROSECONDS_PER_TICK
}

const [shapes = []] = new Command('measure-lanes')
  .description('measure what hosts and threads make of a token that takes long for a call')
  .argument('[HOSTSxTHREADS@MS...]', 'hosts, threads in each, and the delay of a command in milliseconds', addShape)
  .parse().processedArgs as [Shape[]?]
const tokens = await makeTokenDomain(['lanes'])
try {
  const module = makeFaulty(tokens.folder, 'lanes', buildFaultyModule(tokens.folder), tokens.locations[0]!)
  const alone = await measure(tokens, module, shapeOf('1x1@0'), 1)
  const undelayedMs = 1_000 / alone.perSecond
  process.stdout.write(`undelayed command: ${undelayedMs.toFixed(3)} ms, host ${alone.residentMb} MB\n`)
  const measured: Measured[] = []
  for (const shape of shapes.length > 0 ? shapes : DEFAULT.map(shapeOf)) {
    const { name } = shape
    const result = await measure(tokens, module, shape, undelayedMs)
    measured.push(result)
    process.stdout.write(
      `${name}: ${result.perSecond}/s, ${Math.round(result.share * 100)} %, ${result.cpuUs} µs, ${result.residentMb} MB\n`,
    )
  }
  process.stdout.write(`${JSON.stringify({ undelayedMs, lanes: measured })}\n`)
} finally {
  tokens.remove()
}
