/** What the faults did to the callers: a table for people, one line of JSON for programs, and the bars that were missed. */
import { DEADLINE_MS } from './faults.ts'
import type { Tally } from './tally.ts'

export interface FaultResult {
  readonly fault: string
  readonly requests: number
  readonly failures: number
  readonly worstMs: number
  readonly p99Ms: number
  /** From the token's return to full capacity; null when it did not come. */
  readonly recoverMs: number | null
  /** How often a PIN that the token refuses was tried. */
  readonly logins?: number
  /** How often each error came. */
  readonly errors?: Readonly<Record<string, number>>
}

export interface AllDownResult {
  readonly requests: number
  /** Requests that failed, as they must. */
  readonly failures: number
  /** Of those, the ones that failed otherwise than they should. */
  readonly unexpected: number
  readonly worstFailureMs: number
  /** From the return of the first token to the first request that succeeded; null when none did. */
  readonly recoverMs: number | null
  readonly errors?: Readonly<Record<string, number>>
}

export interface Report {
  /** The load without a fault. */
  readonly baseline: Omit<FaultResult, 'fault' | 'recoverMs' | 'logins'>
  readonly faults: readonly FaultResult[]
  readonly allDown?: AllDownResult
  readonly connections: number
  readonly seconds: number
}

/** What issue and design promise. */
const P99_MAX_MS = DEADLINE_MS + 250
const RECOVER_MAX_MS = 5_000
const ALL_DOWN_MAX_MS = 1_000
export const ALL_DOWN_ERRORS: readonly string[] = ['KMSInternalException', 'DependencyTimeoutException']

export function summarise(tally: Tally): Report['baseline'] {
  const { requests, failures, errors } = tally
  return {
    ...{ requests, failures, worstMs: Math.round(tally.worstMs), p99Ms: Math.round(tally.percentileMs(99)) },
    ...(failures === 0 ? {} : { errors }),
  }
}

export function summariseAllDown(tally: Tally, recoverMs: number | null): AllDownResult {
  const { requests, failures, errors } = tally
  const unexpected = Object.entries(errors)
    .filter(([error]) => !ALL_DOWN_ERRORS.includes(error))
    .reduce((sum, [, count]) => sum + count, 0)
  return {
    ...{ requests, failures, unexpected, worstFailureMs: Math.round(tally.slowestFailureMs) },
    recoverMs,
    ...(failures === 0 ? {} : { errors }),
  }
}

/** A line for every bar that was missed. */
export function missedBars({ faults, allDown, baseline }: Report): string[] {
  const missed: string[] = []
  if (baseline.failures > 0) missed.push(`without a fault: ${baseline.failures} failures (${list(baseline.errors)})`)
  for (const { fault, failures, p99Ms, recoverMs, errors, logins = 1 } of faults) {
    if (failures > 0) missed.push(`${fault}: ${failures} failures (${list(errors)})`)
    if (logins > 1) missed.push(`${fault}: a PIN that was refused was tried ${logins} times`)
    if (p99Ms > P99_MAX_MS) missed.push(`${fault}: p99 is ${p99Ms} ms, more than ${P99_MAX_MS}`)
    if (recoverMs === null) missed.push(`${fault}: full capacity did not come back`)
    else if (recoverMs > RECOVER_MAX_MS)
      missed.push(`${fault}: full capacity after ${recoverMs} ms, not ${RECOVER_MAX_MS}`)
  }
  if (allDown === undefined) return missed
  const { unexpected, failures, worstFailureMs, recoverMs, errors } = allDown
  if (failures === 0) missed.push('all-down: no request failed, so nothing was down')
  if (unexpected > 0) missed.push(`all-down: other errors than ${ALL_DOWN_ERRORS.join(' or ')} (${list(errors)})`)
  if (worstFailureMs > ALL_DOWN_MAX_MS) missed.push(`all-down: a request failed after ${worstFailureMs} ms`)
  if (recoverMs === null) missed.push('all-down: it did not recover by itself')
  return missed
}

const COLUMNS = ['fault', 'requests', 'failures', 'p99 ms', 'worst ms', 'recover ms']

export function table({ baseline, faults, allDown }: Report): string {
  const rows = [
    { fault: 'none', ...baseline, recoverMs: undefined },
    ...faults,
    ...(allDown === undefined
      ? []
      : [{ ...allDown, fault: 'all-down *', worstMs: allDown.worstFailureMs, p99Ms: undefined }]),
  ].map(({ fault, requests, failures, p99Ms, worstMs, recoverMs }) => [
    fault,
    ...[requests, failures, p99Ms, worstMs].map(cell),
    recoverMs === null ? 'never' : cell(recoverMs),
  ])
  const lines = [COLUMNS, ...rows]
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map(line => line[column]!.length)))
  const [head, ...body] = lines.map(line =>
    line
      .map((text, column) => (column === 0 ? text.padEnd(widths[column]!) : text.padStart(widths[column]!)))
      .join('  '),
  )
  const rule = '─'.repeat(head!.length)
  const note =
    allDown === undefined ? [] : ['', '* failures are expected here; worst ms is that of the slowest of them']
  return [head, rule, ...body, ...note].join('\n')
}

const cell = (value: number | undefined) => value?.toLocaleString('en') ?? ''

const list = (errors: Readonly<Record<string, number>> = {}) =>
  Object.entries(errors)
    .map(([error, count]) => `${count} × ${error}`)
    .join(', ')
