/**
 * Events as JSON text, in CloudTrail's shape (crypto.md 11.1). The text of a request's event is put together from few pieces,
 * most of which were the same in an event before it and are remembered: it costs each request a few microseconds.
 */
import { randomUUID } from 'node:crypto'
import { byItself, seconds } from './identity.ts'
import { RECORDED_ANSWERS, RECORDED_MEMBERS, recordedMembers } from './members.ts'

const VERSION = '1.11'
const BEGINNING = whole(`{"eventVersion":"${VERSION}","userIdentity":`)
const KEY_TYPE = 'AWS::KMS::Key'
const MS_PER_SECOND = 1_000
/** What CloudTrail keeps of texts that callers choose. */
const TEXT_MAX_CHARACTERS = 1_024

/** A decision that a request depended on, with what it was about. */
export interface Decided {
  readonly action: string
  readonly resource: { readonly arn: string; readonly account: string }
  readonly decision: { readonly allowed: boolean; readonly reason: string; readonly grant?: { readonly id: string } }
}

/** A request of the API, answered or about to be. */
export interface CallFacts {
  readonly eventId: string
  readonly requestId: string
  /** `kms`, `sts` or `cloudtrail`. */
  readonly service: string
  readonly operation: string
  readonly readOnly: boolean
  /** JSON (identity.ts). */
  readonly identity: string
  /** Of the caller; absent where nobody has proved anything. */
  readonly account: string | undefined
  readonly region: string | undefined
  readonly sourceIp: string | undefined
  readonly userAgent: string | undefined
  readonly secureTransport: boolean
  readonly decided: readonly Decided[]
  readonly input: Readonly<Record<string, unknown>> | undefined
  readonly output: Readonly<Record<string, unknown>> | undefined
  readonly error: { readonly code: string; readonly message: string; readonly detail: string | undefined } | undefined
  /** ARNs that the request touched, beside those that were decided about. */
  readonly resources?: readonly string[]
  /** Set when the event is written by a daemon that found it left over: what came of the request is not known. */
  readonly outcomeUnknown?: true
}

/** What this program did by itself, or an operator had it do. */
export interface ActFacts {
  readonly eventId?: string
  /** AWS's name where there is one (crypto.md 11.4). */
  readonly name: string
  /** JSON (identity.ts); the program itself when absent. */
  readonly identity?: string
  readonly account?: string
  readonly region?: string
  readonly resources?: readonly string[]
  readonly parameters?: unknown
  readonly details?: unknown
  readonly error?: { readonly code: string; readonly message: string }
  readonly readOnly?: boolean
}

/** The JSON of a request's event. */
export function callEvent(facts: CallFacts, nowMs: number): string {
  const { eventId, requestId, operation, readOnly, identity, error, output, input } = facts
  const failed = error === undefined ? '' : `,"errorCode":"${error.code}","errorMessage":${quoted(error.message)}`
  const answer = error === undefined && !readOnly ? recordedMembers(output, RECORDED_ANSWERS) : 'null'
  // Joined, an event is one piece of memory at once, and not a tree that is put together when it is hashed.
  return [
    `${BEGINNING}${identity}`,
    momentOf(facts, nowMs),
    `,"eventName":"${operation}"`,
    originOf(facts),
    failed,
    `,"requestParameters":${recordedMembers(input, RECORDED_MEMBERS)}`,
    `,"responseElements":${answer}`,
    `,"additionalEventData":${additional(facts)}`,
    `,"requestID":"${requestId}"`,
    `,"eventID":"${eventId}"`,
    endingOf(facts),
  ].join('')
}

/** The JSON of an act's event. */
export function actEvent(facts: ActFacts, nowMs: number): string {
  const { name, account, region, resources = [], parameters, details, error, readOnly = false } = facts
  const accounts = account === undefined ? {} : { recipientAccountId: account }
  return JSON.stringify({
    eventVersion: VERSION,
    userIdentity: JSON.parse(facts.identity ?? byItself(account ?? '')) as unknown,
    eventTime: seconds(nowMs),
    eventSource: 'kms.amazonaws.com',
    eventName: name,
    awsRegion: region ?? 'unknown',
    sourceIPAddress: 'AWS Internal',
    userAgent: 'AWS Internal',
    ...(error === undefined ? {} : { errorCode: error.code, errorMessage: cutText(error.message) }),
    requestParameters: parameters ?? null,
    responseElements: null,
    eventID: facts.eventId ?? randomUUID(),
    readOnly,
    resources: resources.map(resource),
    eventType: 'AwsServiceEvent',
    managementEvent: true,
    eventCategory: 'Management',
    ...accounts,
    ...(details === undefined ? {} : { serviceEventDetails: details }),
  })
}

let moment = { second: Number.NaN, service: '', text: '' }

/** The same text for a whole second. */
function momentOf({ service }: CallFacts, nowMs: number): string {
  const second = Math.floor(nowMs / MS_PER_SECOND)
  if (moment.second !== second || moment.service !== service) {
    const text = whole(`,"eventTime":"${seconds(nowMs)}","eventSource":"${service}.amazonaws.com"`)
    moment = { second, service, text }
  }
  return moment.text
}

type Whence = Pick<CallFacts, 'region' | 'sourceIp' | 'userAgent'>

let origin: (Whence & { readonly text: string }) | undefined

/** The same text for requests of one client, which seldom come alone. */
function originOf({ region, sourceIp, userAgent }: CallFacts): string {
  if (
    origin === undefined ||
    origin.region !== region ||
    origin.sourceIp !== sourceIp ||
    origin.userAgent !== userAgent
  ) {
    const source = sourceIp === undefined ? '' : `,"sourceIPAddress":${JSON.stringify(sourceIp)}`
    const agent = userAgent === undefined ? '' : `,"userAgent":${quoted(userAgent)}`
    const text = whole(`,"awsRegion":${quoted(region ?? 'unknown')}${source}${agent}`)
    origin = { region, sourceIp, userAgent, text }
  }
  return origin.text
}

/** Why, by which grant, and with which material; what is told to nobody but the log stands here too. */
function additional({ decided, output, error, outcomeUnknown }: CallFacts): string {
  let decisions = ''
  for (const one of decided) decisions += decisions === '' ? decisionText(one) : `,${decisionText(one)}`
  const material = output?.KeyMaterialId
  const made = typeof material === 'string' ? `,"keyMaterialId":"${material}"` : ''
  const detail = error?.detail === undefined ? '' : `,"detail":${quoted(error.detail)}`
  return `{"decisions":[${decisions}]${made}${detail}${outcomeUnknown ? ',"outcomeUnknown":true' : ''}}`
}

/** By decision, and then by action. */
const decisionTexts = new WeakMap<Decided['decision'], Map<string, string>>()

/** Remembered for decisions by policies, which are the same from request to request (access/standing.ts). */
function decisionText({ action, decision }: Decided): string {
  if (!decision.allowed || decision.grant !== undefined) return wordedDecision(action, decision)
  const known = decisionTexts.get(decision) ?? new Map<string, string>()
  let text = known.get(action)
  if (text === undefined) {
    text = whole(wordedDecision(action, decision))
    decisionTexts.set(decision, known.set(action, text))
  }
  return text
}

function wordedDecision(action: string, { allowed, reason, grant }: Decided['decision']): string {
  const by = grant === undefined ? '' : `,"grant":"${grant.id}"`
  return `{"action":"${action}","allowed":${allowed},"reason":${JSON.stringify(reason)}${by}}`
}

interface Ending {
  readonly account: string | undefined
  readonly readOnly: boolean
  readonly text: string
}

/** By the key that was acted upon, for whom and how it was last. */
const endings = new WeakMap<Decided['resource'], Ending>()

/** The rest of an event: the same text while one account does things of one kind to a key. */
function endingOf(facts: CallFacts): string {
  const { decided, account, readOnly, resources = [] } = facts
  const [first] = decided
  if (decided.length !== 1 || resources.length > 0 || first === undefined || !isNamed(first.resource.arn)) {
    return ending(facts, resourcesOf(facts))
  }
  const { resource } = first
  const known = endings.get(resource)
  if (known !== undefined && known.account === account && known.readOnly === readOnly) return known.text
  const { account: accountId, arn: ARN } = resource
  const text = whole(ending(facts, JSON.stringify([{ accountId, type: KEY_TYPE, ARN }])))
  endings.set(resource, { account, readOnly, text })
  return text
}

function ending({ account, readOnly }: CallFacts, resources: string): string {
  const recipient = account === undefined ? '' : `,"recipientAccountId":"${account}"`
  return (
    `,"readOnly":${readOnly},"resources":${resources},"eventType":"AwsApiCall","managementEvent":true,` +
    `"eventCategory":"Management"${recipient}}`
  )
}

function resourcesOf({ decided, resources = [], output }: CallFacts): string {
  const arns = new Set(decided.map(({ resource }) => resource.arn).filter(isNamed))
  for (const arn of resources) arns.add(arn)
  const made = (output?.KeyMetadata as { readonly Arn?: unknown } | undefined)?.Arn
  if (typeof made === 'string') arns.add(made)
  return arns.size === 0 ? '[]' : JSON.stringify([...arns].map(resource))
}

/** AWS names no resource for what belongs to an account. */
function isNamed(arn: string): boolean {
  return !arn.endsWith(':*')
}

function resource(arn: string): Record<string, string> {
  const [, , service, , account = ''] = arn.split(':')
  return { accountId: account, type: service === 'kms' ? KEY_TYPE : 'AWS::IAM::Role', ARN: arn }
}

/** The same text in one piece: one that was put together is a tree of its pieces, of which each event would take all. */
function whole(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8')
}

/** JSON of a text that somebody else chose. */
function quoted(text: string): string {
  return JSON.stringify(cutText(text))
}

/** As much as is kept of a text that callers choose; log lines have no more of it either. */
export function cutText(text: string): string {
  return text.length <= TEXT_MAX_CHARACTERS ? text : text.slice(0, TEXT_MAX_CHARACTERS)
}
