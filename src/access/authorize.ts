/**
 * The decision: may this caller do this action on this resource? In AWS's order (authz.md 3): a denial anywhere ends it;
 * then the key policy, by itself or by what it leaves to the account's identity policies; then grants. Pure: what it
 * decides upon is handed in, and a second look at the same gives the same.
 */
import type { Caller } from '../model/caller.ts'
import { mayCrossAccounts, RETIRE_GRANT } from './actions.ts'
import type { CallerPolicies, KeySide } from './compiled.ts'
import {
  type Decision,
  deniedBecauseNothingAllows,
  deniedExplicitly,
  deniedInvisibly,
  type PolicySide,
} from './decision.ts'
import { type GrantMatch, grantsFor, retirableBy } from './grants.ts'
import type { Context } from './policy/context.ts'
import { coverageOf, type Policy, type Statement } from './policy/policy.ts'
import type { Coverage } from './policy/principals.ts'
import { allowedAlone, Together } from './standing.ts'

/** What is acted upon: a key or alias by its ARN, or all of an account in a region. */
export interface Resource {
  readonly arn: string
  readonly account: string
}

export interface AccessRequest {
  readonly caller: Caller
  /** As AWS spells it: `kms:Encrypt`. */
  readonly action: string
  readonly resource: Resource
  readonly context: Context
  readonly policies: CallerPolicies
  /** Of actions on a key; undefined for those that identity policies alone decide. */
  readonly key: KeySide | undefined
}

const AS_ACCOUNT: Decision = { allowed: true, reason: 'the caller is the account itself', statements: [] }
const LEFT_TO_ACCOUNT = new Together(', which leaves it to the account, and ')
const ACROSS_ACCOUNTS = new Together(' and ')

export function authorize(request: AccessRequest): Decision {
  const { caller, action, resource, policies } = request
  const denial = explicitDenial(request, policies)
  if (denial !== undefined) return denial
  if (request.key === undefined) return decideWithoutKey(request, policies)
  if (caller.kind === 'service' || caller.account === resource.account) {
    return decideOnKey(request, request.key, policies)
  }
  if (mayCrossAccounts(action)) return decideAcrossAccounts(request, request.key, policies)
  return refuse(request, 'resource-based', [`an action that other accounts can be allowed: ${action} is none`])
}

function explicitDenial(request: AccessRequest, policies: CallerPolicies): Decision | undefined {
  const { key } = request
  return (
    (key && denialIn(request, [key.policy], 'resource-based')) ??
    denialIn(request, policies.identity, 'identity-based') ??
    (policies.boundary && denialIn(request, [policies.boundary], 'permissions boundary')) ??
    (policies.session && denialIn(request, policies.session, 'session'))
  )
}

function denialIn(request: AccessRequest, policies: readonly Policy[], side: PolicySide): Decision | undefined {
  for (const policy of policies) {
    for (const statement of policy.about(request.action, request.context).deny) {
      if (coverageOf(statement, request) === undefined) continue
      const refused = refusedOf(request)
      return {
        allowed: false,
        reason: `${statement.label} denies it`,
        message: isForeign(request) ? deniedInvisibly(refused) : deniedExplicitly(refused, side),
        statements: [statement],
        needed: [],
      }
    }
  }
  return undefined
}

/** Actions that belong to an account, and the half of alias actions that is about the alias. */
function decideWithoutKey(request: AccessRequest, policies: CallerPolicies): Decision {
  if (request.caller.kind === 'root') return AS_ACCOUNT
  const identity = allowedBy(request, policies.identity)
  if (identity === undefined) return refuse(request, 'identity-based', [identityNeeded(request)])
  const limit = limitOf(request, policies)
  return limit === undefined ? allowedAlone(identity) : refuse(request, limit, [limitNeeded(request, limit)])
}

/** Key and caller are of one account, or the caller is a service, which is of none. */
function decideOnKey(request: AccessRequest, key: KeySide, policies: CallerPolicies): Decision {
  const { caller } = request
  const found = request.action === RETIRE_GRANT ? NOTHING : statementsFor(request, key.policy)
  // A boundary or a session policy that is silent does not limit what is allowed to the user or session by name.
  if (found.named !== undefined) return allowedAlone(found.named)
  const limit = limitOf(request, policies)
  if (found.role !== undefined && limit === undefined) return allowedAlone(found.role)
  const identity = caller.kind === 'service' ? undefined : allowedBy(request, policies.identity)
  if (found.account !== undefined && identity !== undefined && limit === undefined) {
    return LEFT_TO_ACCOUNT.of(found.account, identity)
  }
  const granted = decideByGrant(request, key, identity, limit)
  if (granted !== undefined) return granted
  if (found.role !== undefined || (found.account !== undefined && identity !== undefined)) {
    return refuse(request, limit ?? 'identity-based', [limitNeeded(request, limit), grantNeeded(request)])
  }
  if (found.account !== undefined) {
    return refuse(request, 'identity-based', [identityNeeded(request), keyPolicyNeeded(request), grantNeeded(request)])
  }
  return refuse(request, 'resource-based', [keyPolicyNeeded(request), grantNeeded(request)])
}

/** Both accounts must agree: the key's by its policy, the caller's by an identity policy. */
function decideAcrossAccounts(request: AccessRequest, key: KeySide, policies: CallerPolicies): Decision {
  const { caller } = request
  const found = request.action === RETIRE_GRANT ? NOTHING : statementsFor(request, key.policy)
  const trusted = found.named ?? found.role ?? found.account
  const limit = limitOf(request, policies)
  const identity = allowedBy(request, policies.identity)
  if (trusted !== undefined && limit === undefined) {
    if (caller.kind === 'root') return allowedAlone(trusted)
    if (identity !== undefined) return ACROSS_ACCOUNTS.of(trusted, identity)
  }
  const granted = decideByGrant(request, key, identity, limit)
  if (granted !== undefined) return granted
  const needed = [
    ...(trusted === undefined ? [keyPolicyNeeded(request)] : []),
    ...(identity === undefined ? [identityNeeded(request)] : []),
    ...(limit === undefined ? [] : [limitNeeded(request, limit)]),
  ]
  return refuse(request, trusted === undefined ? 'resource-based' : 'identity-based', [
    needed.join(', together with '),
    grantNeeded(request),
  ])
}

/** A grant that names the caller is enough; one for its account leaves it to the identity policies. */
function decideByGrant(
  request: AccessRequest,
  { grants }: KeySide,
  identity: Statement | undefined,
  limit: PolicySide | undefined,
): Decision | undefined {
  if (grants.size === 0) return undefined
  for (const match of matchesOf(request, grants)) {
    const { grant, coverage } = match
    if (coverage !== 'named' && limit !== undefined) continue
    if (coverage !== 'account') return { allowed: true, reason: `grant ${grant.id}`, statements: [], grant }
    if (identity === undefined) continue
    const reason = `grant ${grant.id}, which leaves it to the account, and ${identity.label}`
    return { allowed: true, reason, statements: [identity], grant }
  }
  return undefined
}

function matchesOf({ caller, action, context }: AccessRequest, grants: KeySide['grants']): Iterable<GrantMatch> {
  return action === RETIRE_GRANT ? retirableBy(grants, caller) : grantsFor(grants, caller, action, context)
}

type Found = Record<Coverage, Statement | undefined>
const NOTHING: Readonly<Found> = { named: undefined, role: undefined, account: undefined }

/** The first statement of each coverage that allows the action; none after one that names the caller. */
function statementsFor(request: AccessRequest, policy: Policy): Found {
  const found: Found = { named: undefined, role: undefined, account: undefined }
  for (const statement of policy.about(request.action, request.context).allow) {
    const coverage = coverageOf(statement, request)
    if (coverage !== undefined) found[coverage] ??= statement
    if (coverage === 'named') break
  }
  return found
}

function allowedBy(request: AccessRequest, policies: readonly Policy[]): Statement | undefined {
  for (const policy of policies) {
    for (const statement of policy.about(request.action, request.context).allow) {
      if (coverageOf(statement, request) !== undefined) return statement
    }
  }
  return undefined
}

/** The ceiling that does not reach the action; undefined when all of them do. */
function limitOf(request: AccessRequest, { boundary, session }: CallerPolicies): PolicySide | undefined {
  if (boundary !== undefined && allowedBy(request, [boundary]) === undefined) return 'permissions boundary'
  if (session !== undefined && allowedBy(request, session) === undefined) return 'session'
  return undefined
}

function refuse(request: AccessRequest, side: PolicySide, needed: readonly string[]): Decision {
  const refused = refusedOf(request)
  return {
    allowed: false,
    reason: `${side === 'permissions boundary' ? 'the permissions boundary does not allow' : `no ${side} policy allows`} it`,
    message: isForeign(request) ? deniedInvisibly(refused) : deniedBecauseNothingAllows(refused, side),
    statements: [],
    needed,
  }
}

/** AWS names no resource for what belongs to an account. */
function refusedOf({ caller, action, resource, key }: AccessRequest) {
  const named = key !== undefined || !resource.arn.endsWith(':*')
  return { arn: caller.arn, action, resource: named ? resource.arn : undefined }
}

/** Services too: a message must not tell them what is there in other accounts. */
function isForeign({ caller, resource }: AccessRequest): boolean {
  return caller.account !== resource.account
}

function identityNeeded({ action, resource }: AccessRequest): string {
  return `an identity policy of the caller that allows ${action} on ${resource.arn}`
}

function keyPolicyNeeded({ caller, action }: AccessRequest): string {
  const account = caller.kind === 'service' ? '' : `, or account ${caller.account} together with an identity policy`
  return `a key policy statement that allows ${action} to ${caller.principalArn}${account}`
}

function grantNeeded({ caller, action }: AccessRequest): string {
  if (action === RETIRE_GRANT)
    return 'a grant whose retiring principal, retiring grantee or issuing account is the caller'
  return `a grant of ${action.slice('kms:'.length)} to ${caller.principalArn} whose constraints the request meets`
}

function limitNeeded({ action, resource }: AccessRequest, limit: PolicySide | undefined): string {
  const what = limit === 'session' ? 'session policy' : 'permissions boundary'
  return `a ${what} that allows ${action} on ${resource.arn}`
}
