/**
 * Refusals of requests whose caller has proved nothing. Whoever reaches the port has as many of them made as it likes, so only so
 * many a second leave an event each; the others are counted, by source and code, and an event now and then says how many they were.
 */
import { isIPv6 } from 'node:net'
import { LRUCache } from 'lru-cache'
import { TokenBucket } from '../base/token-bucket.ts'
import type { CallFacts } from './events.ts'

export interface RefusalRates {
  /** Of one source; an IPv6 network of 64 bits is one, for its holder has all of its addresses. */
  readonly perSourcePerSecond: number
  readonly perSecond: number
}

/** What tells a refusal of a caller who has proved nothing from any other request. */
export type Refused = Pick<CallFacts, 'account' | 'error' | 'sourceIp'>

/** The event that tells how many there were. */
export const REFUSALS_EVENT = 'UnauthenticatedRequestsRefused'

/** Refusals without events of their own. */
export interface RefusalCount {
  readonly refused: number
  readonly first: string
  readonly last: string
  readonly errorCodes: Readonly<Record<string, number>>
}

/** What an event says of them. */
export interface RefusalSummary extends RefusalCount {
  readonly sources: readonly ({ readonly source: string } & RefusalCount)[]
  /** Of sources that came when as many as a summary names were there; null for none. */
  readonly otherSources: RefusalCount | null
}

/** So many sources have a bucket; whoever was silent for longest starts with a full one. */
const SOURCES_HELD = 10_000
const SOURCES_NAMED = 100
/** How long what is counted waits to be told. */
export const SUMMARY_INTERVAL_MS = 10_000
const NETWORK_GROUPS = 4

interface RefusalsParts {
  readonly rates: RefusalRates
  /** A refusal has no event of its own. */
  readonly onCounted?: () => void
  /** Never goes back. */
  readonly nowMs?: () => number
}

/** What each of several processes that are asked at once may let through. */
export function sharedBy(processes: number, { perSourcePerSecond, perSecond }: RefusalRates): RefusalRates {
  return { perSourcePerSecond: perSourcePerSecond / processes, perSecond: perSecond / processes }
}

export class UnprovenRefusals {
  readonly #rates: RefusalRates
  readonly #onCounted: () => void
  readonly #nowMs: () => number
  readonly #all: TokenBucket
  readonly #bySource = new LRUCache<string, TokenBucket>({ max: SOURCES_HELD })
  #tally = new Tally()
  /** Counted, and told nobody yet. */
  #owed: RefusalSummary | undefined

  constructor({ rates, onCounted = () => {}, nowMs = () => performance.now() }: RefusalsParts) {
    this.#rates = rates
    this.#onCounted = onCounted
    this.#nowMs = nowMs
    this.#all = new TokenBucket(rates.perSecond, nowMs())
  }

  /** Whether a request's event is left out: it is counted then. `atMs` is the moment of the refusal. */
  leavesOut({ account, error, sourceIp }: Refused, atMs: number): boolean {
    if (account !== undefined || error === undefined) return false
    const source = sourceIp === undefined ? 'unknown' : sourceOf(sourceIp)
    const nowMs = this.#nowMs()
    const bucket = this.#bySource.get(source) ?? new TokenBucket(this.#rates.perSourcePerSecond, nowMs)
    this.#bySource.set(source, bucket)
    if (bucket.hasRoom(nowMs) && this.#all.hasRoom(nowMs)) {
      bucket.take()
      this.#all.take()
      return false
    }
    this.#tally.add(source, error.code, atMs)
    this.#onCounted()
    return true
  }

  /**
   * Has `note` record what was counted, when it is time, or `now`. Rejects as `note` does: what it was given is told the next time.
   */
  async tell(
    note: (summary: RefusalSummary) => Promise<void>,
    atMs: number,
    options: { readonly now?: boolean } = {},
  ): Promise<void> {
    this.#owed ??= this.take(atMs, options)
    if (this.#owed === undefined) return
    await note(this.#owed)
    this.#owed = undefined
  }

  /** What was counted, once that was a while ago or when `now` is wanted; what is taken is not told again. */
  take(atMs: number, { now = false } = {}): RefusalSummary | undefined {
    const tally = this.#tally
    if (tally.all.refused === 0 || (!now && atMs - tally.all.firstAtMs < SUMMARY_INTERVAL_MS)) return undefined
    this.#tally = new Tally()
    return tally.summary()
  }
}

class Count {
  refused = 0
  firstAtMs = 0
  lastAtMs = 0
  readonly errorCodes = new Map<string, number>()

  add(code: string, atMs: number): void {
    if (this.refused === 0) this.firstAtMs = atMs
    this.lastAtMs = atMs
    this.refused += 1
    this.errorCodes.set(code, (this.errorCodes.get(code) ?? 0) + 1)
  }

  get value(): RefusalCount {
    const [first, last] = [this.firstAtMs, this.lastAtMs].map(atMs => new Date(atMs).toISOString())
    return { refused: this.refused, first: first!, last: last!, errorCodes: Object.fromEntries(this.errorCodes) }
  }
}

class Tally {
  readonly all = new Count()
  readonly #sources = new Map<string, Count>()
  readonly #others = new Count()

  add(source: string, code: string, atMs: number): void {
    this.all.add(code, atMs)
    let count = this.#sources.get(source)
    if (count === undefined) {
      count = this.#sources.size < SOURCES_NAMED ? new Count() : this.#others
      if (count !== this.#others) this.#sources.set(source, count)
    }
    count.add(code, atMs)
  }

  summary(): RefusalSummary {
    return {
      ...this.all.value,
      sources: [...this.#sources].map(([source, count]) => ({ source, ...count.value })),
      otherSources: this.#others.refused === 0 ? null : this.#others.value,
    }
  }
}

/** An IPv4 address as it is; the network of an IPv6 address. */
function sourceOf(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('%')[0]!.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = [...before, ...Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0'), ...after]
  return `${groups.slice(0, NETWORK_GROUPS).join(':')}::/64`
}
