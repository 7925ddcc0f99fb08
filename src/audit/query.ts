/** Events that somebody asks for, looked for in blocks of lines, the newest first. */
import { setImmediate as turn } from 'node:timers/promises'
import { readAuditLine } from '../formats/audit-chain.ts'
import { type EventQuery, matches, needlesOf, type RecordedEvent } from './event-query.ts'
import type { LineBlock } from './log.ts'

export interface FoundEvent extends EventPlace {
  readonly event: RecordedEvent
  /** As it stands in the log. */
  readonly json: string
}

/** Where a query goes on: behind this event. */
export interface EventPlace {
  readonly chain: string
  readonly seq: number
  /** When it counts as recorded: its own time, to the second, or that of one before it in the chain if that is later. */
  readonly atMs: number
}

/** Which of the events that fit are wanted. */
export interface Wanted {
  /** Those behind this event. */
  readonly after?: EventPlace | undefined
  /** So many of the newest; all when absent. No more are held in memory. */
  readonly atMost?: number
}

const LINE_FEED = 0x0a
const MS_PER_SECOND = 1_000
/** Lines that are read before the event loop turns: about a millisecond. */
const SLICE_BYTES = 64 * 1_024

/**
 * Events that fit, the newest first: of each chain in its order, and among chains by time. Blocks come by their ends, the newest
 * first, and those of chains that grew side by side overlap. Lines that cannot be read are left to `audit verify`.
 */
export async function* findEvents(
  blocks: AsyncIterable<LineBlock>,
  query: EventQuery,
  { after, atMost = Number.POSITIVE_INFINITY }: Wanted = {},
): AsyncGenerator<FoundEvent> {
  const needles = needlesOf(query)
  /** Of the blocks that were read, the newest event last. */
  let found: FoundEvent[] = []
  for await (const block of blocks) {
    // No event of this block or of one behind it is newer than its end.
    while ((found.at(-1)?.atMs ?? 0) > block.lastAtMs) yield found.pop()!
    if (!needles.every(needle => block.lines.includes(needle))) continue
    const oldest = found.length < atMost ? undefined : found[0]
    const isWanted = (place: EventPlace) =>
      (after === undefined || compare(place, after) < 0) && (oldest === undefined || compare(place, oldest) > 0)
    const more = await eventsOf(block, { needles, query, isWanted })
    if (more.length > 0) found = [...found, ...more].sort(compare).slice(-atMost)
  }
  yield* found.reverse()
}

/** Before it no event of a block counts as recorded: what was left over stands with what was recorded when it was. */
export function earliestOf({ firstAtMs }: Pick<LineBlock, 'firstAtMs'>): number {
  return wholeSecond(firstAtMs) - MS_PER_SECOND
}

interface Look {
  readonly needles: readonly Buffer[]
  readonly query: EventQuery
  readonly isWanted: (place: EventPlace) => boolean
}

/** Those that fit, in the order of the chain. */
async function eventsOf(block: LineBlock, { needles, query, isWanted }: Look): Promise<FoundEvent[]> {
  const found: FoundEvent[] = []
  let atMs = earliestOf(block)
  let bytes = 0
  for (const line of linesOf(block.lines)) {
    bytes += line.length
    if (bytes >= SLICE_BYTES) {
      bytes = 0
      await turn()
    }
    const read = readAuditLine(line)
    if (read?.kind !== 'event') continue
    atMs = Math.max(atMs, Math.min(timeOf(read.event), block.lastAtMs))
    const place = { chain: block.chain, seq: read.seq, atMs }
    if (!isWanted(place) || !needles.every(needle => line.includes(needle))) continue
    const json = read.event.toString('utf8')
    const event = JSON.parse(json) as RecordedEvent
    if (matches(event, query)) found.push({ ...place, event, json })
  }
  return found
}

/** The older first. */
function compare(a: EventPlace, b: EventPlace): number {
  if (a.atMs !== b.atMs) return a.atMs - b.atMs
  if (a.chain !== b.chain) return a.chain < b.chain ? -1 : 1
  return a.seq - b.seq
}

/** Of an event; 0 when it says none. */
function timeOf(event: Buffer): number {
  const [, time = ''] = EVENT_TIME.exec(event.toString('latin1')) ?? []
  return time === '' ? 0 : Date.parse(time)
}

const EVENT_TIME = /"eventTime":"([0-9T:.Z-]{20,24})"/

function wholeSecond(ms: number): number {
  return Math.floor(ms / MS_PER_SECOND) * MS_PER_SECOND
}

function* linesOf(lines: Buffer): Generator<Buffer> {
  for (let from = 0; from < lines.length; ) {
    const at = lines.indexOf(LINE_FEED, from)
    const end = at < 0 ? lines.length : at
    yield lines.subarray(from, end)
    from = end + 1
  }
}
