/** What a decision is: allowed or not, and always why. */
import type { Grant } from '../model/grant.ts'
import type { Statement } from './policy/policy.ts'

/** The kinds of policy that AWS's messages tell apart. */
export type PolicySide = 'resource-based' | 'identity-based' | 'permissions boundary' | 'session'

export interface Allowed {
  readonly allowed: true
  /** For people: which statements or which grant. */
  readonly reason: string
  readonly statements: readonly Statement[]
  readonly grant?: Grant
}

export interface Denied {
  readonly allowed: false
  /** For people and the log; never for the caller. */
  readonly reason: string
  /** In AWS's wording, for the caller. */
  readonly message: string
  /** The statement that denies; absent when nothing allows. */
  readonly statements: readonly Statement[]
  /** What would have been needed, each by itself enough; empty after an explicit denial. */
  readonly needed: readonly string[]
}

export type Decision = Allowed | Denied

/** Who asked for what, for a message. */
interface Refused {
  readonly arn: string
  readonly action: string
  /** Undefined where AWS names no resource. */
  readonly resource: string | undefined
}

export function deniedBecauseNothingAllows(refused: Refused, side: PolicySide): string {
  return `${beginning(refused)} because no ${policy(side)} allows the ${refused.action} action`
}

export function deniedExplicitly(refused: Refused, side: PolicySide): string {
  const article = side === 'identity-based' ? 'an' : 'a'
  return `${beginning(refused)} with an explicit deny in ${article} ${policy(side)}`
}

/** For resources of other accounts: whether they exist is not told. */
export function deniedInvisibly({ arn, action }: Refused): string {
  return `User: ${arn} is not authorized to perform: ${action} on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access`
}

function beginning({ arn, action, resource }: Refused): string {
  const on = resource === undefined ? '' : ` on resource: ${resource}`
  return `User: ${arn} is not authorized to perform: ${action}${on}`
}

function policy(side: PolicySide): string {
  return side === 'permissions boundary' ? side : `${side} policy`
}
