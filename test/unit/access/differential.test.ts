/** The engine against the oracle, on random cases: STRONGROOM_CASES says how many (the nightly run takes 100,000). */
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { simulate } from '../../../src/access/simulation.ts'
import { cases } from './cases.ts'
import { judge } from './oracle.ts'

const CASES = Number(process.env.STRONGROOM_CASES ?? 10_000)

describe('the engine', () => {
  it(`decides ${CASES} random cases as the oracle does, and both answers often`, () => {
    const counts = { allowed: 0, denied: 0 }
    fc.assert(
      fc.property(cases, one => {
        const { allowed } = simulate(one)
        counts[allowed ? 'allowed' : 'denied'] += 1
        expect(allowed).toBe(judge(one))
      }),
      { numRuns: CASES },
    )
    expect(Math.min(counts.allowed, counts.denied)).toBeGreaterThan(CASES / 10)
  }, 300_000)
})
