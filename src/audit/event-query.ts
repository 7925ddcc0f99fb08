/** Which events a query is about, by what was recorded of them. */

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

const MS_PER_SECOND = 1_000

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

/**
 * Bytes that every line holds whose event fits, the rarest first: looking for them is far cheaper than reading JSON. Events are
 * written without blanks (events.ts), so that a member and its value stand together.
 */
export function needlesOf(query: EventQuery): Buffer[] {
  const { eventId, principal, key, accessKeyId, resourceName, userName, operation, resourceType, source, region } =
    query
  const { account, readOnly } = query
  // Of the root user of an account only its type says what it is called.
  const named = userName === 'root' ? undefined : userName
  const values = [eventId, accessKeyId, lastOf(key), lastOf(resourceName), principal, named, operation, resourceType]
  return [
    ...values.map(inside),
    account === undefined ? undefined : `"${inside(account)}"`,
    readOnly === undefined ? undefined : `"readOnly":${readOnly}`,
    ...[source, region].map(inside),
  ]
    .filter(text => text !== undefined)
    .map(text => Buffer.from(text, 'utf8'))
}

/** A key is asked for by ARN or id, and recorded by either. */
function lastOf(name: string | undefined): string | undefined {
  return name?.split('/').at(-1)
}

/** As it stands inside a text of JSON. */
function inside(value: string | undefined): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value).slice(1, -1)
}
