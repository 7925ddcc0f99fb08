/**
 * The decision: may this caller do this action on this resource? For now identities whose policy allows `kms:*` may do
 * all in their own account, and others nothing. Key policies, grants and conditions come in behind this one function.
 */
import type { Caller, Decision } from '../model/caller.ts'
import { KmsError } from '../model/errors.ts'
import { hasFullAccess } from './identity-policy.ts'

/** What is acted upon: a key or alias by its ARN, or `*` for actions that belong to an account. */
export interface Resource {
  readonly arn: string
  readonly account: string
}

export function authorize(caller: Caller, action: string, resource: Resource): Decision {
  const denied = `User: ${caller.arn} is not authorized to perform: ${action}`
  if (resource.account !== caller.account) {
    const why =
      'on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access'
    return { allowed: false, reason: 'the resource belongs to another account', message: `${denied} ${why}` }
  }
  if (hasFullAccess(caller)) return { allowed: true, reason: 'an identity policy allows kms:*' }
  const on = resource.arn === '*' ? '' : ` on resource: ${resource.arn}`
  return {
    allowed: false,
    reason: 'no identity policy allows kms:*',
    message: `${denied}${on} because no identity-based policy allows the ${action} action`,
  }
}

/** The same as an assertion. Throws KmsError AccessDeniedException with AWS's message; the reason is its detail. */
export function requireAllowed(caller: Caller, action: string, resource: Resource): void {
  const decision = authorize(caller, action, resource)
  if (!decision.allowed) throw new KmsError('AccessDeniedException', decision.message, { detail: decision.reason })
}
