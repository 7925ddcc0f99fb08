/**
 * Events as JSON text, in CloudTrail's shape (crypto.md 11.1). The text of a request's event is put together from pieces that are
 * known already: it costs each request a few microseconds.
 */
import { randomUUID } from 'node:crypto'
import { byItself, seconds } from './identity.ts'
import { RECORDED_ANSWERS, RECORDED_MEMBERS, recordedMembers } from './members.ts'

const VERSION = '1.11'
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
  const { eventId, requestId, service, operation, readOnly, identity, account, region, error, output, input } = facts
  const source = facts.sourceIp === undefined ? '' : `,"sourceIPAddress":${JSON.stringify(facts.sourceIp)}`
  const agent = facts.userAgent === undefined ? '' : `,"userAgent":${quoted(facts.userAgent)}`
  const failed = error === undefined ? '' : `,"errorCode":"${error.code}","errorMessage":${quoted(error.message)}`
  const answer = error === undefined && !readOnly ? recordedMembers(output, RECORDED_ANSWERS) : 'null'
  return (
    `{"eventVersion":"${VERSION}","userIdentity":${identity},"eventTime":"${timeOf(nowMs)}",` +
    `"eventSource":"${service}.amazonaws.com","eventName":"${operation}","awsRegion":${quoted(region ?? 'unknown')}` +
    `${source}${agent}${failed},"requestParameters":${recordedMembers(input, RECORDED_MEMBERS)},"responseElements":${answer},` +
    `"additionalEventData":${additional(facts)},"requestID":"${requestId}","eventID":"${eventId}",` +
    `"readOnly":${readOnly},"resources":${resourcesOf(facts)},"eventType":"AwsApiCall","managementEvent":true,` +
    `"eventCategory":"Management"${account === undefined ? '' : `,"recipientAccountId":"${account}"`}}`
  )
}

/** The JSON of an act's event. */
export function actEvent(facts: ActFacts, nowMs: number): string {
  const { name, account, region, resources = [], parameters, details, error, readOnly = false } = facts
  const accounts = account === undefined ? {} : { recipientAccountId: account }
  return JSON.stringify({
    eventVersion: VERSION,
    userIdentity: JSON.parse(facts.identity ?? byItself(account ?? '')) as unknown,
    eventTime: timeOf(nowMs),
    eventSource: 'kms.amazonaws.com',
    eventName: name,
    awsRegion: region ?? 'unknown',
    sourceIPAddress: 'AWS Internal',
    userAgent: 'AWS Internal',
    ...(error === undefined ? {} : { errorCode: error.code, errorMessage: cut(error.message) }),
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

/** Why, by which grant, and with which material; what is told to nobody but the log stands here too. */
function additional({ decided, output, error, outcomeUnknown }: CallFacts): string {
  let decisions = ''
  for (const { action, decision } of decided) {
    const grant = decision.grant === undefined ? '' : `,"grant":"${decision.grant.id}"`
    const text = `{"action":"${action}","allowed":${decision.allowed},"reason":${JSON.stringify(decision.reason)}${grant}}`
    decisions += decisions === '' ? text : `,${text}`
  }
  const material = output?.KeyMaterialId
  return (
    `{"decisions":[${decisions}]` +
    `${typeof material === 'string' ? `,"keyMaterialId":"${material}"` : ''}` +
    `${error?.detail === undefined ? '' : `,"detail":${quoted(error.detail)}`}` +
    `${outcomeUnknown ? ',"outcomeUnknown":true' : ''}}`
  )
}

function resourcesOf({ decided, resources = [], output }: CallFacts): string {
  const [first] = decided
  if (decided.length === 1 && resources.length === 0 && first !== undefined && isNamed(first.resource.arn)) {
    return `[{"accountId":"${first.resource.account}","type":"AWS::KMS::Key","ARN":${JSON.stringify(first.resource.arn)}}]`
  }
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
  return { accountId: account, type: service === 'kms' ? 'AWS::KMS::Key' : 'AWS::IAM::Role', ARN: arn }
}

/** JSON of a text that somebody else chose. */
function quoted(text: string): string {
  return JSON.stringify(cut(text))
}

function cut(text: string): string {
  return text.length <= TEXT_MAX_CHARACTERS ? text : text.slice(0, TEXT_MAX_CHARACTERS)
}

let second = { at: 0, text: '' }

/** The same text for a whole second. */
function timeOf(nowMs: number): string {
  const at = Math.floor(nowMs / MS_PER_SECOND)
  if (second.at !== at) second = { at, text: seconds(nowMs) }
  return second.text
}
