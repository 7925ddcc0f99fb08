/** What authorisation costs a request: the same operation with the default key policy and with many policies, in turn. */
import { lineOf, measured } from './closed-loop.ts'
import type { Daemon } from './daemon.ts'
import type { Measurement } from './operations.ts'
import { median, type Summary, summarise } from './report.ts'

/** GenerateDataKey with the default key policy and with what authorisation.ts makes. */
export interface Authorisation {
  readonly defaultPolicy: Summary
  readonly manyPolicies: Summary
  /** CPU of a request with many policies, in CPUs of one with the default policy: 1.05 at most. */
  readonly cpuRatio: number
}

/** Short ones tell more than a few long ones: a machine changes its speed within seconds. */
const PAIRS_PER_ROUND = 4

interface Plan {
  readonly rounds: number
  readonly seconds: number
  readonly warmUp: number
}

export async function measureAuthorisation(
  daemon: Daemon,
  { rounds, seconds, warmUp }: Plan,
  progress: (line: string) => void,
): Promise<Authorisation> {
  progress('authorisation: warming up')
  await daemon.measureRuled(warmUp)
  const [defaultPolicy, manyPolicies]: [Measurement[], Measurement[]] = [[], []]
  for (let pair = 0; pair < rounds * PAIRS_PER_ROUND; pair++) {
    const measureDefault = async () => {
      const found = await measured(() => daemon.measure('GenerateDataKey', seconds / PAIRS_PER_ROUND))
      defaultPolicy.push(found)
      progress(`authorisation default policy ${lineOf(found)}`)
    }
    const measureMany = async () => {
      const found = await measured(() => daemon.measureRuled(seconds / PAIRS_PER_ROUND))
      manyPolicies.push(found)
      progress(`authorisation many policies  ${lineOf(found)}`)
    }
    // Each is the first of a pair as often as the other: whoever comes second finds the machine warmer, or slower.
    const [first, second] = pair % 2 === 0 ? [measureDefault, measureMany] : [measureMany, measureDefault]
    await first()
    await second()
  }
  // Neighbours in time are compared: a machine that slows down does so for both.
  const ratios = manyPolicies.map(({ cpuUs }, at) => cpuUs / defaultPolicy[at]!.cpuUs)
  return {
    defaultPolicy: summarise(defaultPolicy),
    manyPolicies: summarise(manyPolicies),
    cpuRatio: Math.round(median(ratios) * 1_000) / 1_000,
  }
}

/** For below the tables. */
export function authorisationLine({ defaultPolicy, manyPolicies, cpuRatio }: Authorisation): string {
  const of = ({ cpuUs }: Summary) => `${cpuUs.toFixed(1)} µs/op`
  return `Authorisation: GenerateDataKey takes ${of(manyPolicies)} with 10 statements, 3 identity policies and 100 grants, ${of(defaultPolicy)} with the default policy: CPU × ${cpuRatio.toFixed(3)}.`
}
