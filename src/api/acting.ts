/**
 * Calls of a service on somebody's behalf. The service signs with its own access key and says, in signed headers, for whom:
 *
 *   X-Strongroom-On-Behalf-Of         the access key id that the user or session signed its request to the service with
 *   X-Strongroom-On-Behalf-Of-Token   of a session, the X-Amz-Security-Token that came with it
 *   X-Strongroom-Source-Arn           the resource on whose behalf the service calls (aws:SourceArn)
 *
 * Decisions are then about the user or session, limits of a session included, with kms:ViaService. None of it is for a service
 * that no operator has named the account for, and all refusals of whom it names are alike.
 */
import type { Clock } from '../base/clock.ts'
import { callerOf, callerVia } from '../identities/caller.ts'
import type { Sessions } from '../keyring/sessions.ts'
import { accountOfArn } from '../model/arn.ts'
import type { Caller } from '../model/caller.ts'
import { KmsError } from '../model/errors.ts'
import type { Identity, Principal } from '../model/identity.ts'
import type { HotReader } from '../store/store.ts'
import { callerOfOpened } from './session-callers.ts'
import type { HeaderFields } from './sigv4/headers.ts'
import type { SignedRequest } from './sigv4/verify.ts'

const ON_BEHALF_OF = 'x-strongroom-on-behalf-of'
const TOKEN = 'x-strongroom-on-behalf-of-token'
const SOURCE_ARN = 'x-strongroom-source-arn'
/** STS would hand out credentials of whom a service calls for. */
const SERVICE = 'kms'
const SOURCE_ARN_MAX_CHARACTERS = 2_048

export interface ActingParts {
  readonly hot: HotReader
  readonly sessions: Sessions
  readonly clock: Clock
}

/** Whom the request is for, and on behalf of which resource it is made. */
export interface Acting {
  readonly caller: Caller
  readonly sourceArn?: string
}

/** Whether a request asks for any of it. */
export function saysForWhom(headers: HeaderFields): boolean {
  return headers[ON_BEHALF_OF] !== undefined || headers[TOKEN] !== undefined || headers[SOURCE_ARN] !== undefined
}

/** What the headers of a request say that `service` has signed. Throws KmsError AccessDeniedException. */
export async function actingOf(parts: ActingParts, signed: SignedRequest, service: Principal): Promise<Acting> {
  const signer = service.identity
  if (signer.kind !== 'service' || signer.actsFor.length === 0) throw refused(signer.arn, 'it acts for no account')
  if (signed.service !== SERVICE) throw refused(signer.arn, `it acts for others towards ${SERVICE} alone`)
  const caller = await actedFor(parts, signed, service)
  const sourceArn = signed.headers[SOURCE_ARN]
  if (sourceArn === undefined) return { caller }
  requireActsFor(signer, sourceArn.length > SOURCE_ARN_MAX_CHARACTERS ? undefined : accountOfArn(sourceArn))
  return { caller, sourceArn }
}

/** The service itself where it names nobody. */
async function actedFor(parts: ActingParts, signed: SignedRequest, service: Principal): Promise<Caller> {
  const signer = service.identity
  const accessKeyId = signed.headers[ON_BEHALF_OF]
  const token = signed.headers[TOKEN]
  if (accessKeyId === undefined) {
    if (token !== undefined) throw refused(signer.arn, 'a token without an access key id')
    return callerOf(service)
  }
  const caller =
    token === undefined ? await userOf(parts, accessKeyId) : await sessionOf(parts, signed, accessKeyId, token)
  if (caller === undefined) throw refused(signer.arn, 'no user or session has the access key that it names')
  requireActsFor(signer, caller.account)
  return callerVia(caller, signer.arn)
}

/** No root, who may do everything, and no other service. */
async function userOf({ hot }: ActingParts, accessKeyId: string): Promise<Caller | undefined> {
  const accessKey = await hot.accessKey(accessKeyId)
  if (accessKey?.active !== true) return undefined
  const principal = await hot.principal(accessKey.principalId)
  return principal?.identity.kind === 'user' ? callerOf(principal) : undefined
}

async function sessionOf(
  { hot, sessions, clock }: ActingParts,
  { date, region, service }: SignedRequest,
  accessKeyId: string,
  token: string,
): Promise<Caller | undefined> {
  const opened = await sessions.open(token, accessKeyId, { date, region, service })
  if (opened === undefined || opened.session.expiresAtMs <= clock()) return undefined
  try {
    return await callerOfOpened(hot, opened.session)
  } catch (error) {
    if (error instanceof KmsError && error.code === 'UnrecognizedClientException') return undefined
    throw error
  }
}

function requireActsFor({ arn, actsFor }: Identity, account: string | undefined): void {
  if (account === undefined || !actsFor.includes(account))
    throw refused(arn, `it does not act for ${account ?? 'nobody'}`)
}

function refused(service: string, detail: string): KmsError {
  return new KmsError(
    'AccessDeniedException',
    `User: ${service} is not authorized to call on behalf of whom it names`,
    {
      detail,
    },
  )
}
