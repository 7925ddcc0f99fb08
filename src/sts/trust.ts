/**
 * Who may assume a role. Until the policy engine decides: an Allow that names the caller's ARN, or its account together
 * with an identity policy, with no condition but StringEquals on sts:ExternalId; everything else lets nobody in.
 */

import { rootArn } from '../model/arn.ts'
import type { Identity } from '../model/identity.ts'
import type { StsRequest } from './action.ts'

export interface TrustDecision {
  readonly allowed: boolean
  readonly reason: string
}

interface Statement {
  readonly [element: string]: unknown
}

const ELEMENTS: ReadonlySet<string> = new Set(['Sid', 'Effect', 'Principal', 'Action', 'Resource', 'Condition'])

export function allowsAssume(
  { caller }: StsRequest,
  role: Identity,
  action: string,
  { ExternalId }: { readonly ExternalId?: string | undefined },
): TrustDecision {
  const statements = statementsOf(role.role?.trustPolicy ?? '{}')
  const understood = statements.every(
    statement => statement.Effect === 'Allow' && Object.keys(statement).every(element => ELEMENTS.has(element)),
  )
  if (!understood) return { allowed: false, reason: 'the trust policy says more than is understood' }
  const trusted = statements.filter(statement => {
    return lists(statement.Action, action) && isMet(statement.Condition, ExternalId)
  })
  const principals = trusted.flatMap(({ Principal }) => [(Principal as { AWS?: unknown } | undefined)?.AWS].flat())
  const named = principals.includes(caller.arn) || principals.includes(caller.principalArn)
  if (named && caller.account === role.account) return { allowed: true, reason: 'the trust policy names the caller' }
  const account = principals.includes(caller.account) || principals.includes(rootArn(caller.account))
  const permitted = caller.policies
    .flatMap(({ document }) => statementsOf(document))
    .some(
      statement =>
        statement.Effect === 'Allow' &&
        statement.Condition === undefined &&
        lists(statement.Action, action) &&
        (lists(statement.Resource, role.arn) || lists(statement.Resource, '*')),
    )
  return {
    allowed: (named || account) && permitted,
    reason: 'neither the trust policy nor an identity policy allows it',
  }
}

function lists(element: unknown, name: string): boolean {
  return [element].flat().includes(name)
}

function isMet(condition: unknown, externalId: string | undefined): boolean {
  if (condition === undefined) return true
  const { StringEquals: equals, ...others } = condition as { StringEquals?: Record<string, unknown> }
  const { 'sts:ExternalId': wanted, ...more } = equals ?? {}
  return Object.keys({ ...others, ...more }).length === 0 && externalId !== undefined && lists(wanted, externalId)
}

function statementsOf(document: string): Statement[] {
  try {
    const { Statement: statements } = JSON.parse(document) as { Statement?: Statement | Statement[] }
    return [statements ?? []].flat()
  } catch {
    return []
  }
}
