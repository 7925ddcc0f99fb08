/**
 * LookupEvents: events of the caller's account and region, the newest first, by one attribute and time. The shapes are AWS's, so
 * that `aws cloudtrail lookup-events` works.
 */
import { type EventQuery, userNameOf } from '../audit/event-query.ts'
import { type FoundEvent, findEvents } from '../audit/query.ts'
import { type Infer, integer, list, oneOf, optional, structure, text, timestamp } from '../base/schema.ts'
import type { StoredAudit } from '../store/stored-audit.ts'
import { BlockReading, type Continuation, type ReadingLimits } from './block-reading.ts'
import { CloudTrailError } from './errors.ts'
import { readToken, tokenOf } from './next-token.ts'

const PAGE = 50
const MS_PER_SECOND = 1_000
/** Of a request: some tenths of a second of work at most, in slices (audit/query.ts). However small, a block is read from the store. */
const LIMITS: ReadingLimits = { blocks: 1_024, bytes: 32 * 1_024 * 1_024 }
const BEGINNING: Continuation = {}

const ATTRIBUTES = [
  'EventId',
  'EventName',
  'ReadOnly',
  'Username',
  'ResourceType',
  'ResourceName',
  'EventSource',
  'AccessKeyId',
] as const

export const lookupEventsInput = structure({
  LookupAttributes: optional(
    list(structure({ AttributeKey: oneOf(ATTRIBUTES), AttributeValue: text({ min: 1, max: 2_000 }) })),
  ),
  StartTime: optional(timestamp()),
  EndTime: optional(timestamp()),
  EventCategory: optional(text({ min: 1, max: 64 })),
  MaxResults: optional(integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER })),
  NextToken: optional(text({ min: 1, max: 1_024 })),
})
export type LookupEventsInput = Infer<typeof lookupEventsInput>

export interface Lookup {
  readonly stored: Pick<StoredAudit, 'blocksBackwards'>
  /** Has what is written already put where it is looked for. */
  settle(): Promise<void>
  /** Of a request. */
  readonly limits?: ReadingLimits
}

/**
 * A page, and the token of the next: a page that ends where reading stops may have fewer events than are asked for, or none. Reading
 * stops when the signal is aborted, too. Throws CloudTrailError.
 */
export async function lookupEvents(
  { stored, settle, limits = LIMITS }: Lookup,
  scope: { readonly account: string; readonly region: string },
  input: LookupEventsInput,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const { MaxResults: limit = PAGE, NextToken } = input
  if (limit < 1 || limit > PAGE) throw new CloudTrailError('InvalidMaxResultsException')
  const query = { ...scope, ...queryOf(input) }
  const from = NextToken === undefined ? BEGINNING : readToken(NextToken, query)
  // What follows a page was recorded before it was asked for.
  if (NextToken === undefined) await settle()
  const reading = new BlockReading({ stored, limits, signal }, from)
  const found: FoundEvent[] = []
  // What is behind an event was recorded before its end.
  const toMs = Math.min(query.toMs ?? Number.MAX_SAFE_INTEGER, from.after?.atMs ?? Number.MAX_SAFE_INTEGER)
  // One more than asked for tells whether others follow.
  const wanted = { after: from.after, atMost: limit + 1 }
  for await (const event of findEvents(reading.blocks({ ...query, toMs }), query, wanted)) {
    found.push(event)
    if (found.length > limit) break
  }
  const page = found.slice(0, limit)
  const next = continuationOf(reading, found.length > limit ? page.at(-1) : undefined)
  return { Events: page.map(describe), ...(next === undefined ? {} : { NextToken: tokenOf(next, query) }) }
}

/** `last` is the event that a full page ends with. */
function continuationOf(reading: BlockReading, last: FoundEvent | undefined): Continuation | undefined {
  if (last !== undefined) return reading.continuedAfter(last)
  return reading.stoppedAt === undefined ? undefined : { behind: reading.stoppedAt }
}

function queryOf({ LookupAttributes = [], StartTime, EndTime }: LookupEventsInput): EventQuery {
  const [attribute, ...others] = LookupAttributes
  if (others.length > 0) throw new CloudTrailError('InvalidLookupAttributesException')
  if (StartTime !== undefined && EndTime !== undefined && StartTime > EndTime)
    throw new CloudTrailError('InvalidTimeRangeException')
  return {
    ...(StartTime === undefined ? {} : { fromMs: StartTime * MS_PER_SECOND }),
    ...(EndTime === undefined ? {} : { toMs: EndTime * MS_PER_SECOND }),
    ...(attribute === undefined ? {} : filterOf(attribute.AttributeKey, attribute.AttributeValue)),
  }
}

function filterOf(key: (typeof ATTRIBUTES)[number], value: string): EventQuery {
  switch (key) {
    case 'EventId':
      return { eventId: value }
    case 'EventName':
      return { operation: value }
    case 'ReadOnly':
      if (value !== 'true' && value !== 'false') throw new CloudTrailError('InvalidLookupAttributesException')
      return { readOnly: value === 'true' }
    case 'Username':
      return { userName: value }
    case 'ResourceType':
      return { resourceType: value }
    case 'ResourceName':
      return { resourceName: value }
    case 'EventSource':
      return { source: value }
    case 'AccessKeyId':
      return { accessKeyId: value }
  }
}

function describe({ event, json }: FoundEvent): Record<string, unknown> {
  return {
    EventId: event.eventID,
    EventName: event.eventName,
    ReadOnly: String(event.readOnly),
    AccessKeyId: event.userIdentity.accessKeyId,
    EventTime: Date.parse(event.eventTime) / MS_PER_SECOND,
    EventSource: event.eventSource,
    Username: userNameOf(event),
    Resources: event.resources.map(({ type, ARN }) => ({ ResourceType: type, ResourceName: ARN })),
    CloudTrailEvent: json,
  }
}
