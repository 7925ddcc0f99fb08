/**
 * `npm run chaos`: pull a token and watch. A throw-away Strongroom with two tokens is kept under a steady load while one of
 * its tokens gets every fault of the rig, one after the other. The last line of stdout is the report in JSON; the exit code
 * is 1 when a bar was missed.
 */
import { Command, InvalidArgumentError } from 'commander'
import { runExperiment } from './experiment.ts'
import { ALL_DOWN, FAULTS, whatItDoes } from './faults.ts'
import { missedBars, table } from './report.ts'

interface Options {
  readonly seconds: number
  readonly connections: number
  readonly rate: number
  readonly fault: readonly string[]
  readonly list: boolean
  readonly log?: string
}

const NAMES = [...FAULTS.map(({ name }) => name), ALL_DOWN]
const NAME_COLUMN = Math.max(...NAMES.map(name => name.length)) + 2

const { list, fault, ...options } = parseOptions()
if (list) {
  process.stdout.write(`${NAMES.map(name => name.padEnd(NAME_COLUMN) + whatItDoes(name)).join('\n')}\n`)
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
  const report = await runExperiment({
    ...options,
    faults: fault.length === 0 ? NAMES : fault,
    signal: stop.signal,
    progress,
  })
  const missed = missedBars(report)
  for (const line of missed) progress(`MISSED  ${line}`)
  process.stdout.write(`${table(report)}\n\n${JSON.stringify(report)}\n`)
  process.exitCode = missed.length === 0 ? 0 : 1
} catch (error) {
  if (interrupted === undefined) progress(`chaos: ${(error as Error).message}`)
  process.exitCode = 1
}
// Everything is cleaned up: this process ends as the signal would have ended it.
if (interrupted !== undefined) {
  process.removeAllListeners(interrupted)
  process.kill(process.pid, interrupted)
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
