/** What a chaos run makes of its numbers, and that its page names every fault. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { DEADLINE_MS, FAULTS } from '../../../scripts/chaos/faults.ts'
import { type FaultResult, missedBars, type Report, summariseAllDown, table } from '../../../scripts/chaos/report.ts'
import { Tally } from '../../../scripts/chaos/tally.ts'

const DOCS = new URL('../../../docs/faults.md', import.meta.url)

const well: FaultResult = { fault: 'mute', requests: 900, failures: 0, p99Ms: 12, worstMs: 950, recoverMs: 300 }

const report = (changes: Partial<FaultResult>, allDown?: Report['allDown']): Report => ({
  baseline: { requests: 100, failures: 0, p99Ms: 4, worstMs: 9 },
  faults: [{ ...well, ...changes }],
  ...(allDown === undefined ? {} : { allDown }),
  connections: 8,
  seconds: 5,
})

describe('a tally', () => {
  it('counts, and ranks by the nearest', () => {
    const tally = new Tally()
    for (let ms = 1; ms <= 200; ms++) tally.add(ms)
    expect(tally).toMatchObject({ requests: 200, failures: 0, worstMs: 200, slowestFailureMs: 0 })
    expect([50, 99, 100].map(percent => tally.percentileMs(percent))).toEqual([100, 198, 200])
    tally.add(5, 'X')
    tally.add(7, 'X')
    expect(tally).toMatchObject({ requests: 202, failures: 2, errors: { X: 2 }, slowestFailureMs: 7 })
  })

  it('is 0 throughout without requests', () => {
    expect(new Tally()).toMatchObject({ requests: 0, worstMs: 0 })
    expect(new Tally().percentileMs(99)).toBe(0)
  })
})

describe('the bars', () => {
  it.each<[string, Partial<FaultResult>]>([
    ['mute: 2 failures (2 × KMSInternalException)', { failures: 2, errors: { KMSInternalException: 2 } }],
    [`mute: p99 is ${DEADLINE_MS + 251} ms, more than ${DEADLINE_MS + 250}`, { p99Ms: DEADLINE_MS + 251 }],
    ['mute: full capacity after 5001 ms, not 5000', { recoverMs: 5_001 }],
    ['mute: full capacity did not come back', { recoverMs: null }],
  ])('are missed: %s', (line, changes) => {
    expect(missedBars(report(changes))).toEqual([line])
  })

  it('are met at their edge', () => {
    expect(missedBars(report({ p99Ms: DEADLINE_MS + 250, recoverMs: 5_000 }))).toEqual([])
  })

  it('for all tokens down want the right errors, soon, and a recovery', () => {
    const tally = new Tally()
    tally.add(20, 'DependencyTimeoutException')
    tally.add(999, 'KMSInternalException')
    expect(missedBars(report({}, summariseAllDown(tally, 400)))).toEqual([])
    tally.add(1_100, 'KeyUnavailableException')
    const allDown = summariseAllDown(tally, null)
    expect(allDown).toMatchObject({ failures: 3, unexpected: 1, worstFailureMs: 1_100, recoverMs: null })
    expect(missedBars(report({}, allDown))).toHaveLength(3)
    expect(missedBars(report({}, summariseAllDown(new Tally(), 1)))).toEqual([
      'all-down: no request failed, so nothing was down',
    ])
  })
})

describe('the table', () => {
  it('has a line for each fault, in columns', () => {
    const lines = table(report({ requests: 12_345, recoverMs: null })).split('\n')
    expect(lines).toHaveLength(4)
    expect(lines[3]).toMatch(/^mute +12,345 +0 +12 +950 +never$/)
    expect(new Set(lines.map(line => line.length)).size).toBe(1)
  })
})

describe('docs/faults.md', () => {
  it('has the table of faults as the source has it', () => {
    const text = readFileSync(DOCS, 'utf8')
    const rows = FAULTS.map(({ name, does, imitates }) => `| \`${name}\` | ${does} | ${imitates} |`)
    expect(text.split('\n').filter(line => line.startsWith('| `'))).toEqual(rows)
  })
})
