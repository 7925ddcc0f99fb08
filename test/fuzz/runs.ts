/**
 * How much is tried: so much in the suite, and far more with STRONGROOM_FUZZ=nightly. fast-check prints the seed of what
 * fails; STRONGROOM_FUZZ_SEED tries the same again.
 */
import type { Parameters } from 'fast-check'

export const NIGHTLY = process.env.STRONGROOM_FUZZ === 'nightly'
const { STRONGROOM_FUZZ_SEED: seed } = process.env

export function runs<T>(inSuite: number, nightly: number): Parameters<T> {
  return { numRuns: NIGHTLY ? nightly : inSuite, ...(seed === undefined ? {} : { seed: Number(seed) }) }
}

/** Of a test. */
export const TIMEOUT_MS = NIGHTLY ? 3_600_000 : 120_000
