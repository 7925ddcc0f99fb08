/** Lines of refused requests: bounded for callers who have proved nothing, and counted beyond it. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { RefusalLines } from '../../../src/api/refusal-lines.ts'
import { SUMMARY_INTERVAL_MS } from '../../../src/audit/refusals.ts'
import type { LogFields, Logger } from '../../../src/telemetry/logger.ts'

const AT = Date.UTC(2026, 10, 22)
const SECOND = 1_000
let lines: (LogFields & { readonly event: string })[]
let refusals: RefusalLines

beforeEach(() => {
  jest.useFakeTimers({ now: AT })
  lines = []
  const write = (event: string, fields: LogFields = {}) => void lines.push({ event, ...fields })
  const logger: Logger = { error: write, warn: write, info: write, debug: write, enabled: () => true }
  refusals = new RefusalLines({ rates: { perSourcePerSecond: 3, perSecond: 5 }, logger, clock: Date.now })
})

afterEach(() => {
  jest.useRealTimers()
})

const error = (code: string) => ({ code, message: '', detail: undefined })
/** How many of so many refusals have lines. */
const written = (count: number, sourceIp: string, account?: string) =>
  Array.from({ length: count }, () => refusals.leavesOut({ sourceIp, account, error: error('Refused') })).filter(
    leftOut => !leftOut,
  ).length

describe('lines of refusals', () => {
  it('are so many a second of one source, and of all', () => {
    expect(written(10, '10.0.0.1')).toBe(3)
    expect([written(10, '10.0.0.2'), written(10, '10.0.0.3')]).toEqual([2, 0])
    jest.advanceTimersByTime(SECOND)
    expect(written(10, '10.0.0.1')).toBe(3)
  })

  it('are all there of callers who have proved who they are', () => {
    expect(written(1_000, '10.0.0.1', '000000000001')).toBe(1_000)
  })

  it('that are left out are told of in one line, ten seconds after the first of them', () => {
    written(10, '10.0.0.1')
    written(10, '10.0.0.2')
    jest.advanceTimersByTime(SUMMARY_INTERVAL_MS - 1)
    expect(lines).toEqual([])
    jest.advanceTimersByTime(1)
    const moment = new Date(AT).toISOString()
    expect(lines).toEqual([
      {
        ...{ event: 'refused requests without a line each', refused: 15, first: moment, last: moment },
        ...{ errorCodes: { Refused: 15 }, sources: 2, moreSources: false },
      },
    ])
    jest.advanceTimersByTime(2 * SUMMARY_INTERVAL_MS)
    expect(lines).toHaveLength(1)
  })

  it('that are left out are told of at the end', () => {
    written(10, '10.0.0.1')
    refusals[Symbol.dispose]()
    refusals[Symbol.dispose]()
    expect(lines.map(({ refused }) => refused)).toEqual([7])
  })
})
