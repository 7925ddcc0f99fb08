/** Who may assume a role: its trust policy decides as a key's policy does, by itself or by what it leaves to an account. */
import { type AccessRequest, authorize } from '../access/authorize.ts'
import { policiesOf } from '../access/compiled.ts'
import { type ConditionKey, type Context, type ContextValue, foldedMember } from '../access/policy/context.ts'
import { PolicyFault } from '../access/policy/fault.ts'
import { parsePolicy } from '../access/policy/parse.ts'
import { RequestContext } from '../access/request-context.ts'
import { EMPTY_CONTEXT } from '../model/encryption-context.ts'
import type { Identity } from '../model/identity.ts'
import type { StsRequest } from './action.ts'

/** What the conditions of a trust policy can ask of a request. */
export interface AssumeRoleFacts {
  readonly RoleSessionName: string
  readonly ExternalId?: string | undefined
  readonly SourceIdentity?: string | undefined
  readonly Tags?: readonly { readonly Key: string; readonly Value: string }[] | undefined
  readonly TransitiveTagKeys?: readonly string[] | undefined
}

export interface TrustDecision {
  readonly allowed: boolean
  /** For the log. */
  readonly reason: string
}

export function allowsAssume(
  request: StsRequest,
  role: Identity,
  action: string,
  facts: AssumeRoleFacts,
): TrustDecision {
  try {
    const policy = parsePolicy('trust', `the trust policy of role ${role.name}`, role.role?.trustPolicy ?? '')
    const asked: AccessRequest = {
      ...{ caller: request.caller, action, resource: role, context: new TrustContext(request, role, facts) },
      ...{
        policies: policiesOf(request.caller),
        key: { policy, principals: role.role?.trustPrincipals ?? new Map(), grants: new Map() },
      },
    }
    const { allowed, reason } = authorize(asked)
    return { allowed, reason }
  } catch (error) {
    if (error instanceof PolicyFault) return { allowed: false, reason: error.message }
    throw error
  }
}

/** The condition keys of STS, and those that every request has. */
class TrustContext implements Context {
  readonly encryptionContext = EMPTY_CONTEXT
  readonly #role: Identity
  readonly #general: RequestContext
  readonly #own: ReadonlyMap<string, ContextValue>

  constructor({ caller, region, origin, clock }: StsRequest, role: Identity, facts: AssumeRoleFacts) {
    const { Tags = [], TransitiveTagKeys } = facts
    const asker = { caller, region, ...(origin === undefined ? {} : { origin }) }
    const requestTags = Tags.map(({ Key: key, Value: value }) => ({ key, value }))
    const tagKeys = requestTags.length === 0 ? undefined : requestTags.map(({ key }) => key)
    this.#general = new RequestContext(asker, clock, { keys: { 'aws:TagKeys': tagKeys }, requestTags })
    this.#role = role
    this.#own = new Map<string, ContextValue>([
      ['aws:resourceaccount', role.account],
      ['sts:externalid', facts.ExternalId],
      ['sts:rolesessionname', facts.RoleSessionName],
      ['sts:sourceidentity', facts.SourceIdentity],
      ['sts:transitivetagkeys', TransitiveTagKeys],
    ])
  }

  value(key: ConditionKey): ContextValue {
    if (key.family === 'aws:resourcetag/') return foldedMember(this.#role.tags, key.member ?? '')
    return this.#own.get(key.name) ?? this.#general.value(key)
  }
}
