/**
 * `npm run chaos`: pull a token and watch. A throw-away Strongroom with two tokens is kept under a steady load while one of
 * its tokens gets every fault of the rig, one after the other. The last line of stdout is the report in JSON; the exit code
 * is 1 when a bar was missed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Command, InvalidArgumentError } from 'commander'
import { isReady, statesOf, untilFullCapacity } from './capacity.ts'
import { ALL_DOWN, allDown, FAULTS, type Fault } from './faults.ts'
import {
  type AllDownResult,
  type FaultResult,
  missedBars,
  type Report,
  summarise,
  summariseAllDown,
  table,
} from './report.ts'
import { SteadyLoad } from './steady-load.ts'
import { Subject } from './subject.ts'
import { Tally } from './tally.ts'

interface Options {
  readonly seconds: number
  readonly connections: number
  readonly rate: number
  readonly fault: readonly string[]
  readonly list: boolean
  readonly log?: string
}

const NAMES = [...FAULTS.map(({ name }) => name), ALL_DOWN]
const BASELINE_MS = 2_000
/** Of a fault's share of the time, what is kept for the recovery. */
const RECOVERY_SHARE_MS = 2_000
const RECOVER_TIMEOUT_MS = 20_000
const ALL_DOWN_MS = 2_000
const LOAD_STOP_MS = 5_000
const POLL_MS = 20
const MS_PER_SECOND = 1_000

const options = parseOptions()
if (options.list) {
  process.stdout.write(`${NAMES.map(name => `${name.padEnd(22)}${describe(name)}`).join('\n')}\n`)
  process.exit(0)
}

const stop = new AbortController()
let interrupted: NodeJS.Signals | undefined
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (interrupted === undefined) progress(`${signal}: cleaning up`)
    interrupted ??= signal
    stop.abort()
  })
}

try {
  const report = await run()
  process.stdout.write(`${table(report)}\n\n`)
  const missed = missedBars(report)
  for (const line of missed) progress(`MISSED  ${line}`)
  process.stdout.write(`${JSON.stringify(report)}\n`)
  process.exitCode = missed.length === 0 ? 0 : 1
} catch (error) {
  if (interrupted === undefined) progress(`chaos: ${(error as Error).message}`)
  process.exitCode = 1
}
if (interrupted !== undefined) {
  process.removeAllListeners(interrupted)
  process.kill(process.pid, interrupted)
}

async function run(): Promise<Report> {
  const { connections, seconds, rate } = options
  await using subject = new Subject(options.log)
  progress('starting a Strongroom with two tokens behind faulty modules')
  await subject.start(stop.signal)
  const baseline = new Tally()
  const load = new SteadyLoad({ connections, requestsPerSecond: rate, credentials: subject.credentials }, new Tally())
  load.aim(subject.endpoint)
  await load.start()
  try {
    await untilFullCapacity(subject.adminEndpoint, RECOVER_TIMEOUT_MS, stop.signal)
    load.countIn(baseline)
    await pause(BASELINE_MS)
    const faults: FaultResult[] = []
    const chosen = FAULTS.filter(({ name }) => isChosen(name))
    const shareMs = (seconds * MS_PER_SECOND) / (chosen.length + (isChosen(ALL_DOWN) ? 1 : 0))
    for (const [at, fault] of chosen.entries()) {
      progress(`${at + 1}/${chosen.length} ${fault.name}: ${fault.does}`)
      faults.push(await suffer(subject, load, fault, shareMs))
    }
    if (!isChosen(ALL_DOWN)) return { baseline: summarise(baseline), faults, connections, seconds }
    progress(`${ALL_DOWN}: ${describe(ALL_DOWN)}`)
    const down = await loseAll(subject, load)
    return { baseline: summarise(baseline), faults, allDown: down, connections, seconds }
  } finally {
    await load.stop(LOAD_STOP_MS)
  }
}

/** Gives one fault to the first token, takes it back, and waits for full capacity. */
async function suffer(subject: Subject, load: SteadyLoad, fault: Fault, shareMs: number): Promise<FaultResult> {
  const [victim] = subject.tokens
  const tally = new Tally()
  load.countIn(tally)
  await fault.begin(victim!)
  // What happens once and is over leaves nothing to wait for.
  if (fault.leastMs > 0) await pause(Math.max(fault.leastMs, shareMs - RECOVERY_SHARE_MS))
  await fault.end(victim!)
  const recoverMs = await untilFullCapacity(subject.adminEndpoint, RECOVER_TIMEOUT_MS, stop.signal)
  load.countIn(new Tally())
  const result = {
    fault: fault.name,
    ...summarise(tally),
    recoverMs: recoverMs === undefined ? null : Math.round(recoverMs),
  }
  const { requests, failures, p99Ms, worstMs } = result
  progress(
    `    ${requests} requests, ${failures} failures, p99 ${p99Ms} ms, worst ${worstMs} ms, recovered after ${result.recoverMs} ms`,
  )
  if (recoverMs === undefined) await startAnew(subject, load)
  return result
}

/** All tokens answer errors; then the first of them returns, and later the others. */
async function loseAll(subject: Subject, load: SteadyLoad): Promise<AllDownResult> {
  const tally = new Tally()
  load.countIn(tally)
  for (const victim of subject.tokens) allDown.begin(victim)
  await pause(ALL_DOWN_MS)
  const [first, ...others] = subject.tokens
  allDown.end(first!)
  const returnedAt = performance.now()
  const recoveredAt = await firstSuccess(subject, load, tally)
  for (const victim of others) allDown.end(victim)
  await untilFullCapacity(subject.adminEndpoint, RECOVER_TIMEOUT_MS, stop.signal)
  return summariseAllDown(tally, recoveredAt === undefined ? undefined : recoveredAt - returnedAt)
}

/** When a request succeeded again. What fails until then counts in `tally`. */
async function firstSuccess(subject: Subject, load: SteadyLoad, tally: Tally): Promise<number | undefined> {
  const until = performance.now() + RECOVER_TIMEOUT_MS
  const succeeded = () => tally.requests - tally.failures
  const before = succeeded()
  while (performance.now() < until) {
    if (succeeded() > before && (await isReady(subject.adminEndpoint))) {
      load.countIn(new Tally())
      return performance.now()
    }
    await pause(POLL_MS)
  }
  return undefined
}

/** The next fault must not find what the last one left. */
async function startAnew(subject: Subject, load: SteadyLoad): Promise<void> {
  const states = Object.entries(await statesOf(subject.adminEndpoint)).map(([token, state]) => `${token} ${state}`)
  progress(`    still ${states.join(', ')}: starting the daemon anew`)
  await subject.restart(stop.signal)
  load.aim(subject.endpoint)
  await untilFullCapacity(subject.adminEndpoint, RECOVER_TIMEOUT_MS, stop.signal)
}

function pause(ms: number): Promise<void> {
  return sleep(ms, undefined, { signal: stop.signal })
}

function isChosen(name: string): boolean {
  return options.fault.length === 0 || options.fault.includes(name)
}

function describe(name: string): string {
  return FAULTS.find(fault => fault.name === name)?.does ?? 'all tokens answer CKR_DEVICE_REMOVED; then one returns'
}

function progress(line: string): void {
  process.stderr.write(`${line}\n`)
}

function parseOptions(): Options {
  return new Command('chaos')
    .description(
      'Runs a throw-away Strongroom with two tokens under a steady load, and gives every fault of the rig to one of them.',
    )
    .option(
      '--seconds <N>',
      'how long the faults last and are recovered from, about, in all; each gets an equal share, and at least what it needs to show',
      integer(1, 86_400),
      180,
    )
    .option('--connections <N>', 'connections of the load', integer(1, 1_000), 16)
    .option('--rate <N>', 'requests a second, over all connections', integer(1, 100_000), 300)
    .option(
      '--fault <NAME>',
      'only this fault; may be given again',
      (name, names: string[]) => [...names, known(name)],
      [],
    )
    .option('--log <FILE>', "keep the daemon's log in this file")
    .option('--list', 'name the faults and what they do', false)
    .parse()
    .opts<Options>()
}

function integer(min: number, max: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (Number.isInteger(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`a whole number from ${min} to ${max} is wanted`)
  }
}

function known(name: string): string {
  if (NAMES.includes(name)) return name
  throw new InvalidArgumentError(`there are ${NAMES.join(', ')}`)
}
