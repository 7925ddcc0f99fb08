/** Which events somebody asks for, looked for in blocks of lines, the newest first. */
import { readAuditLine } from '../formats/audit-chain.ts'
import type { LineBlock } from './log.ts'

/** An event as it was recorded; what a query looks at of it. */
export interface RecordedEvent {
  readonly eventID: string
  readonly eventName: string
  readonly eventSource: string
  readonly eventTime: string
  readonly eventType: string
  readonly awsRegion: string
  readonly readOnly: boolean
  readonly errorCode?: string
  readonly requestID?: string
  readonly recipientAccountId?: string
  readonly userIdentity: {
    readonly type?: string
    readonly arn?: string
    readonly accessKeyId?: string
    readonly userName?: string
    readonly accountId?: string
    readonly principalId?: string
  }
  readonly resources: readonly { readonly ARN: string; readonly type: string; readonly accountId: string }[]
  readonly requestParameters: Readonly<Record<string, unknown>> | null
}

/** All of what is set must fit. */
export interface EventQuery {
  /** Of the event, to the second; both ends included. */
  readonly fromMs?: number | undefined
  readonly toMs?: number | undefined
  /** ARN, user name or access key id of who called. */
  readonly principal?: string | undefined
  /** Key id or ARN, or an alias as it was named. */
  readonly key?: string | undefined
  readonly operation?: string | undefined
  /** `ok`, `refused`, or an error code. */
  readonly outcome?: string | undefined
  readonly eventId?: string | undefined
  readonly readOnly?: boolean | undefined
  readonly source?: string | undefined
  readonly accessKeyId?: string | undefined
  readonly resourceName?: string | undefined
  readonly resourceType?: string | undefined
  readonly userName?: string | undefined
  readonly region?: string | undefined
  /** Events that concern this account: its callers', and what others did with its keys. */
  readonly account?: string | undefined
}

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

const LINE_FEED = 0x0a
const MS_PER_SECOND = 1_000

/**
 * Events that fit, the newest first, behind `after`: of each chain in its order, and among chains by time. Blocks come by their ends,
 * the newest first, and those of chains that grew side by side overlap. Lines that cannot be read are left to `audit verify`.
 */
export async function* findEvents(
  blocks: AsyncIterable<LineBlock>,
  query: EventQuery,
  after?: EventPlace,
): AsyncGenerator<FoundEvent> {
  const needles = needlesOf(query)
  /** Of the blocks that were read, the newest event last. */
  let found: FoundEvent[] = []
  for await (const block of blocks) {
    // No event of this block or of one behind it is newer than its end.
    while ((found.at(-1)?.atMs ?? 0) > block.lastAtMs) yield found.pop()!
    if (!needles.every(needle => block.lines.includes(needle))) continue
    const more = eventsOf(block, needles).filter(
      event => matches(event.event, query) && (after === undefined || compare(event, after) < 0),
    )
    if (more.length > 0) found = [...found, ...more].sort(compare)
  }
  yield* found.reverse()
}

/** Those that hold the needles, in the order of the chain. */
function eventsOf(block: LineBlock, needles: readonly string[]): FoundEvent[] {
  const found: FoundEvent[] = []
  // What was left over is recorded late: it stands with those that were recorded then.
  let atMs = wholeSecond(block.firstAtMs) - MS_PER_SECOND
  for (const line of linesOf(block.lines)) {
    const read = readAuditLine(line)
    if (read?.kind !== 'event') continue
    atMs = Math.max(atMs, Math.min(timeOf(read.event), block.lastAtMs))
    if (!needles.every(needle => line.includes(needle))) continue
    const json = read.event.toString('utf8')
    const event = JSON.parse(json) as RecordedEvent
    found.push({ chain: block.chain, seq: read.seq, atMs, event, json })
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

export function matches(event: RecordedEvent, query: EventQuery): boolean {
  const { userIdentity: who, resources } = event
  const atMs = Date.parse(event.eventTime)
  const named = (value: string | undefined, ...names: readonly (string | undefined)[]) =>
    value === undefined || names.includes(value)
  return (
    atMs + MS_PER_SECOND > (query.fromMs ?? 0) &&
    atMs <= (query.toMs ?? Number.POSITIVE_INFINITY) &&
    named(query.principal, who.arn, who.userName, who.accessKeyId, who.principalId) &&
    named(query.operation, event.eventName) &&
    named(query.eventId, event.eventID) &&
    named(query.source, event.eventSource) &&
    named(query.accessKeyId, who.accessKeyId) &&
    named(query.userName, userNameOf(event)) &&
    named(query.region, event.awsRegion) &&
    named(query.resourceType, ...resources.map(({ type }) => type)) &&
    (query.resourceName === undefined || concerns(event, query.resourceName)) &&
    (query.key === undefined || concerns(event, query.key)) &&
    (query.readOnly === undefined || query.readOnly === event.readOnly) &&
    hasOutcome(event, query.outcome) &&
    (query.account === undefined || isOf(event, query.account))
  )
}

/** What CloudTrail calls the user of an event. */
export function userNameOf({ userIdentity: who }: RecordedEvent): string | undefined {
  if (who.userName !== undefined) return who.userName
  if (who.type === 'AssumedRole') return who.principalId?.split(':')[1]
  return who.type === 'Root' ? 'root' : undefined
}

/** By key id, ARN, or a name as it was given. */
function concerns({ resources, requestParameters }: RecordedEvent, name: string): boolean {
  if (resources.some(({ ARN }) => ARN === name || ARN.endsWith(`:key/${name}`) || ARN.endsWith(`:${name}`))) return true
  const { keyId, aliasName, targetKeyId } = requestParameters ?? {}
  return [keyId, aliasName, targetKeyId].includes(name)
}

function hasOutcome({ errorCode }: RecordedEvent, outcome: string | undefined): boolean {
  if (outcome === undefined) return true
  if (outcome === 'ok') return errorCode === undefined
  return outcome === 'refused' ? errorCode !== undefined : errorCode === outcome
}

/** A refusal concerns its caller's account alone: whose key it was is none of its business (crypto.md 11.1). */
function isOf({ recipientAccountId, resources, errorCode }: RecordedEvent, account: string): boolean {
  if (recipientAccountId === account) return true
  return errorCode === undefined && resources.some(({ accountId }) => accountId === account)
}

/** Bytes that every line that fits holds: looking for them is far cheaper than reading JSON. */
function needlesOf({ operation, eventId, principal, key, accessKeyId, resourceName }: EventQuery): string[] {
  return [operation, eventId, principal, key?.split('/').at(-1), accessKeyId, resourceName?.split('/').at(-1)]
    .filter(needle => needle !== undefined)
    .map(needle => JSON.stringify(needle).slice(1, -1))
}

function* linesOf(lines: Buffer): Generator<Buffer> {
  for (let from = 0; from < lines.length; ) {
    const at = lines.indexOf(LINE_FEED, from)
    const end = at < 0 ? lines.length : at
    yield lines.subarray(from, end)
    from = end + 1
  }
}
