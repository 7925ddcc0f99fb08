/** What the bench can be told on its command line. */
import { Command, InvalidArgumentError, Option } from 'commander'
import { OPERATIONS, type Operation } from './operations.ts'

export interface Options {
  /** Each is a run of its own. */
  readonly connections: readonly number[]
  readonly seconds: number
  readonly warmUp: number
  readonly rounds: number
  readonly operations: readonly Operation[]
  readonly rates?: readonly Rate[]
  readonly growth?: readonly number[] | true
  readonly write?: string | true
  readonly jsonOnly: boolean
  /** Service processes of the daemon. */
  readonly processes: number
  readonly naive: boolean
  readonly daemon: boolean
}

/** Requests a second, or a share of what the closed loop came to. */
export type Rate = { readonly perSecond: number } | { readonly percent: number }

export const GROWTH_SIZES = [1, 1_000, 100_000, 1_000_000] as const
export const PAGE_FOLDER = 'docs'
const CONNECTIONS_MAX = 4_096

export function parseOptions(): Options {
  const command = new Command('bench')
    .description("Measures the daemon against its tokens' own limit and against a naive service.")
    .option(
      '--connections <list>',
      'connections of the load generator; 1,2,4,8,16,32,64 is a sweep',
      connectionList,
      [32],
    )
    .option('--seconds <number>', 'length of one measurement', positiveNumber, 3)
    .option('--warm-up <number>', 'seconds before the rounds, for compilers and caches', positiveNumber, 5)
    .option('--rounds <number>', 'measurements of each server and operation', positiveInteger, 3)
    .addOption(operationsOption())
    .option('--rates <list>', 'then the daemon in an open loop: requests a second, or 50% of the most', rateList)
    .option('--growth [list]', `then the daemon with so many keys in its store: ${GROWTH_SIZES.join(',')}`, sizeList)
    .option('--write [folder]', `write performance.md, its plots and .json, into ${PAGE_FOLDER} unless told otherwise`)
    .option('--json-only', 'print nothing but the JSON line on stdout', false)
    .option('--processes <number>', 'service processes of the daemon', positiveInteger, 1)
    .option('--no-naive', 'leave the naive service out')
    .option('--no-daemon', 'leave the daemon out')
  const options = command.parse().opts<Options>()
  if (!options.daemon && options.rates !== undefined) command.error('error: --rates is for the daemon')
  return options
}

function operationsOption(): Option {
  return new Option('--operations <list>', `some of ${OPERATIONS.join(', ')}`)
    .argParser(operationList)
    .default([...OPERATIONS], 'all')
}

function positiveInteger(text: string): number {
  if (!/^[1-9]\d{0,6}$/.test(text)) throw new InvalidArgumentError('must be a positive whole number.')
  return Number(text)
}

function positiveNumber(text: string): number {
  const value = Number(text)
  if (!(value > 0 && value <= 3_600)) throw new InvalidArgumentError('must be a number of seconds above 0.')
  return value
}

function connectionList(text: string): number[] {
  const counts = text.split(',').map(positiveInteger)
  if (counts.some(count => count > CONNECTIONS_MAX)) throw new InvalidArgumentError(`at most ${CONNECTIONS_MAX}.`)
  return counts
}

function sizeList(text: string): number[] {
  const sizes = text.split(',').map(positiveInteger)
  if (sizes.some((size, at) => at > 0 && size <= sizes[at - 1]!)) throw new InvalidArgumentError('must grow.')
  return sizes
}

function rateList(text: string): Rate[] {
  return text.split(',').map(rate => {
    if (!rate.endsWith('%')) return { perSecond: positiveInteger(rate) }
    const percent = positiveInteger(rate.slice(0, -1))
    if (percent > 100) throw new InvalidArgumentError('must be at most 100%.')
    return { percent }
  })
}

function operationList(text: string): Operation[] {
  const names = text.split(',')
  const unknown = names.find(name => !OPERATIONS.includes(name as Operation))
  if (unknown !== undefined) throw new InvalidArgumentError(`"${unknown}" is not one of ${OPERATIONS.join(', ')}.`)
  return names as Operation[]
}
