/**
 * LookupEvents: events of the caller's account and region, the newest first, by one attribute and time. The shapes are AWS's, so
 * that `aws cloudtrail lookup-events` works.
 */
import { hash } from 'node:crypto'
import { type EventPlace, type EventQuery, type FoundEvent, findEvents, userNameOf } from '../audit/query.ts'
import { type Infer, integer, list, oneOf, optional, structure, text, timestamp } from '../base/schema.ts'
import type { StoredAudit } from '../store/stored-audit.ts'
import { CloudTrailError } from './errors.ts'

const PAGE = 50
const MS_PER_SECOND = 1_000
const TOKEN = /^([0-9a-f]{32})\.(\d{1,15})\.(\d{1,15})\.([0-9a-f]{32})$/

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
}

/** Throws CloudTrailError. */
export async function lookupEvents(
  { stored, settle }: Lookup,
  scope: { readonly account: string; readonly region: string },
  input: LookupEventsInput,
): Promise<Readonly<Record<string, unknown>>> {
  const { MaxResults: limit = PAGE, NextToken } = input
  if (limit < 1 || limit > PAGE) throw new CloudTrailError('InvalidMaxResultsException')
  const query = { ...scope, ...queryOf(input) }
  const after = NextToken === undefined ? undefined : readToken(NextToken, query)
  await settle()
  const found: FoundEvent[] = []
  // What is behind a page was recorded before its end.
  const toMs = Math.min(query.toMs ?? Number.MAX_SAFE_INTEGER, after?.atMs ?? Number.MAX_SAFE_INTEGER)
  for await (const event of findEvents(stored.blocksBackwards({ ...query, toMs }), query, after)) {
    found.push(event)
    // One more than asked for tells whether others follow.
    if (found.length > limit) break
  }
  const page = found.slice(0, limit)
  const last = page.at(-1)
  const more = found.length > limit && last !== undefined
  return { Events: page.map(describe), ...(more ? { NextToken: tokenOf(last, query) } : {}) }
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

/** Where the page ended, and of which lookup it is: a token goes on with no other. */
function tokenOf({ chain, seq, atMs }: EventPlace, query: EventQuery): string {
  return Buffer.from(`${chain}.${seq}.${atMs}.${digestOf(query)}`, 'latin1').toString('base64url')
}

function readToken(token: string, query: EventQuery): EventPlace {
  const [, chain, seq, atMs, digest] = TOKEN.exec(Buffer.from(token, 'base64url').toString('latin1')) ?? []
  if (chain === undefined || digest !== digestOf(query)) throw new CloudTrailError('InvalidNextTokenException')
  return { chain, seq: Number(seq), atMs: Number(atMs) }
}

function digestOf(query: EventQuery): string {
  const members = Object.entries(query).sort(([a], [b]) => (a < b ? -1 : 1))
  return hash('sha256', JSON.stringify(members), 'hex').slice(0, 32)
}
