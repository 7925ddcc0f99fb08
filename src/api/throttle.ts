/**
 * How fast accounts and principals may ask, so that one application does not starve the rest: token buckets in memory,
 * decided between authentication and anything that costs a database or a token something. Every daemon counts for itself, for all of its processes.
 */
import { LRUCache } from 'lru-cache'
import { ALL_REQUESTS, AWS_REQUEST_RATES, type RateName } from '../base/request-rates.ts'
import { TokenBucket } from '../base/token-bucket.ts'
import type { Configuration } from '../config/schema.ts'
import type { Caller } from '../model/caller.ts'
import { KmsError } from '../model/errors.ts'
import type { Metrics } from '../telemetry/metrics.ts'

type CountedAs = RateName | typeof ALL_REQUESTS
type Rates = Readonly<Partial<Record<CountedAs, number>>>

/** What of a caller is counted by. */
export type RateHolder = Pick<Caller, 'account' | 'principalArn'>

/** Whose requests are counted together. */
const HOLDERS = {
  account: (caller: RateHolder) => caller.account,
  // Of a session its role's: temporary credentials are there for the asking.
  principal: (caller: RateHolder) => caller.principalArn,
} as const
type HolderKind = keyof typeof HOLDERS

/** The buckets of so many holders are remembered; whoever was silent for longest starts with full ones. */
const HELD_MAX = 10_000

const MESSAGES = {
  kms: 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.',
  sts: 'Rate exceeded',
} as const

interface Limit {
  readonly kind: HolderKind
  readonly rates: Rates
  /** By region and holder. */
  readonly held: Map<string, LRUCache<string, Map<CountedAs, TokenBucket>>>
}

/** Counts requests: at once, or by asking another process of the daemon, which then says when it is done. */
export interface Throttling {
  /** Throws or rejects with KmsError ThrottlingException. */
  count(caller: RateHolder, region: string, rate: RateName): undefined | Promise<void>
}

export class Throttle implements Throttling {
  readonly #limits: readonly Limit[]
  readonly #metrics: Metrics
  readonly #nowMs: () => number

  /** Whether any request is counted. */
  get limits(): boolean {
    return this.#limits.length > 0
  }

  /** `nowMs` never goes back. */
  constructor(
    { preset, account, principal }: Configuration['quotas']['requests'],
    { metrics, nowMs = () => performance.now() }: { metrics: Metrics; nowMs?: () => number },
  ) {
    const rates = { account: preset === 'aws' ? { ...AWS_REQUEST_RATES, ...account } : account, principal }
    this.#limits = (['account', 'principal'] as const)
      .filter(kind => Object.keys(rates[kind]).length > 0)
      .map(kind => ({ kind, rates: rates[kind], held: new Map() }))
    this.#metrics = metrics
    this.#nowMs = nowMs
  }

  /**
   * Counts a request of a proven caller. Throws KmsError ThrottlingException when its account or its principal is too fast;
   * a request that is refused counts for neither, so that one principal cannot use up its account's rate.
   */
  count(caller: RateHolder, region: string, rate: RateName): undefined {
    if (this.#limits.length === 0) return
    const nowMs = this.#nowMs()
    const buckets: TokenBucket[] = []
    for (const limit of this.#limits) {
      for (const countedAs of [rate, ALL_REQUESTS] as const) {
        const bucket = bucketOf(limit, caller, region, countedAs, nowMs)
        if (bucket === undefined) continue
        if (!bucket.hasRoom(nowMs)) this.#refuse(limit.kind, rate, countedAs)
        buckets.push(bucket)
      }
    }
    for (const bucket of buckets) bucket.take()
  }

  #refuse(quota: HolderKind, rate: RateName, countedAs: CountedAs): never {
    this.#metrics.requestsThrottled.inc({ quota, rate: countedAs })
    throw new KmsError('ThrottlingException', MESSAGES[rate === 'sts' ? 'sts' : 'kms'], {
      detail: `the ${quota}'s rate of requests: ${countedAs}`,
    })
  }
}

function bucketOf(
  { kind, rates, held }: Limit,
  caller: RateHolder,
  region: string,
  countedAs: CountedAs,
  nowMs: number,
): TokenBucket | undefined {
  const perSecond = rates[countedAs]
  if (perSecond === undefined) return undefined
  const holder = HOLDERS[kind](caller)
  const ofRegion = held.get(region) ?? new LRUCache({ max: HELD_MAX })
  const buckets = ofRegion.get(holder) ?? new Map<CountedAs, TokenBucket>()
  let bucket = buckets.get(countedAs)
  if (bucket === undefined) {
    bucket = new TokenBucket(perSecond, nowMs)
    held.set(region, ofRegion.set(holder, buckets.set(countedAs, bucket)))
  }
  return bucket
}
