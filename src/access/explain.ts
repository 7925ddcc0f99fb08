/** Decisions told to an operator: what decided, what would have been needed, and what came close. */
import { type AccessRequest, authorize } from './authorize.ts'
import { unmet } from './grants.ts'
import type { Policy, Statement } from './policy/policy.ts'

export interface Explanation {
  readonly decision: 'Allow' | 'Deny'
  readonly reason: string
  /** What the caller is told. */
  readonly message?: string
  /** Each by itself enough. */
  readonly needed?: readonly string[]
  /** Statements and grants about this action and caller that would have allowed it, with what the request lacks. */
  readonly almost?: readonly string[]
}

/** More than anybody reads. */
const ALMOST_MAX = 20

export function explain(request: AccessRequest): Explanation {
  const decision = authorize(request)
  if (decision.allowed) return { decision: 'Allow', reason: decision.reason }
  const { reason, message, needed } = decision
  return {
    decision: 'Deny',
    reason,
    message,
    needed,
    almost: needed.length === 0 ? [] : almost(request).slice(0, ALMOST_MAX),
  }
}

function almost(request: AccessRequest): string[] {
  const { key, policies, caller, action, context } = request
  const documents = [...(key ? [key.policy] : []), ...policies.identity, ...(policies.session ?? [])]
  if (policies.boundary !== undefined) documents.push(policies.boundary)
  const statements = documents.flatMap(policy => nearMisses(policy, request))
  const names = new Set([caller.arn, caller.principalArn])
  const grants = [...(key?.grants ?? [])].flatMap(([grantee, lent]) => (names.has(grantee) ? lent : []))
  const lacking = grants.flatMap(grant => {
    const why = unmet(grant, action, context)
    return why === undefined ? [] : [`grant ${grant.id}: ${why}`]
  })
  return [...statements, ...lacking]
}

/** Statements that allow the action to the caller, but for the resource or a condition. */
function nearMisses(policy: Policy, request: AccessRequest): string[] {
  return policy.about(request.action).allow.flatMap(statement => {
    if (
      statement.principals !== undefined &&
      statement.principals.coverageOf(request.caller, request.key?.principals ?? new Map()) === undefined
    )
      return []
    const lacks = lackOf(statement, request)
    return lacks === undefined ? [] : [`${statement.label}: ${lacks}`]
  })
}

function lackOf(statement: Statement, { resource, context }: AccessRequest): string | undefined {
  if (!statement.isAboutResource(resource.arn, context)) return `it is about another resource than ${resource.arn}`
  const failed = statement.conditions.filter(condition => !condition.holds(context, statement.effect))
  if (failed.length === 0) return undefined
  return `the request does not meet ${failed.map(({ text }) => text).join(' and ')}`
}
