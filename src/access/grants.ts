/** Which grant of a key covers a request (authz.md 5). Grants are found by their grantee: a key may have 50,000 of them. */

import { rootArn } from '../model/arn.ts'
import { type Caller, isMeantBy } from '../model/caller.ts'
import type { Grant, GrantConstraints, GrantOperation } from '../model/grant.ts'
import { type Context, conditionKey } from './policy/context.ts'
import type { Coverage } from './policy/principals.ts'

/** A grant that covers a request, and how it means the caller: a grant to an account only delegates, as policies do. */
export interface GrantMatch {
  readonly grant: Grant
  readonly coverage: Coverage
}

export type GrantIndex = ReadonlyMap<string, readonly Grant[]>

const EMPTY: GrantIndex = new Map()

/** By grantee. */
export function indexGrants(grants: readonly Grant[]): GrantIndex {
  return grants.length === 0 ? EMPTY : Map.groupBy(grants, ({ grantee }) => grantee)
}

const SOURCE_ARN = conditionKey('aws:SourceArn')
const GRANT_SOURCE_ARN = conditionKey('kms:GrantConstraintSourceArn')
const GRANT_OPERATIONS_KEY = conditionKey('kms:GrantOperations')
const GRANT_CONSTRAINT_TYPE = conditionKey('kms:GrantConstraintType')
/** What an encryption context constraint says nothing about (authz.md 5). Other operations without one do not meet it. */
const WITHOUT_CONTEXT: ReadonlySet<string> = new Set(['DescribeKey', 'RetireGrant'])

/** The grants that cover an action, the most specific first. `action` has `kms:` before it. */
export function* grantsFor(index: GrantIndex, caller: Caller, action: string, context: Context): Generator<GrantMatch> {
  if (index.size === 0) return
  for (const [grantee, coverage] of namesOf(caller)) {
    for (const grant of index.get(grantee) ?? []) {
      if (!isMeantBy(grant.principalIds, grantee, caller)) continue
      if (unmet(grant, action, context) === undefined) yield { grant, coverage }
    }
  }
}

/** The grants that the caller may retire: by what they say of it, or as principal of an account that they mean. */
export function* retirableBy(index: GrantIndex, caller: Caller): Generator<GrantMatch> {
  const names = [...namesOf(caller)]
  for (const grants of index.values()) {
    for (const grant of grants) {
      const entitled = [grant.retiring, rootArn(grant.issuingAccount)]
      if (grant.operations.includes('RetireGrant')) entitled.push(grant.grantee)
      const meant = ([name]: readonly [string, Coverage]) =>
        entitled.includes(name) && isMeantBy(grant.principalIds, name, caller)
      const [, coverage] = names.find(meant) ?? []
      if (coverage !== undefined) yield { grant, coverage }
    }
  }
}

/** The names by which a grant may mean a caller. */
function* namesOf({ kind, arn, principalArn, account }: Caller): Generator<readonly [string, Coverage]> {
  yield [arn, 'named']
  if (kind === 'service' || kind === 'root') return
  if (principalArn !== arn) yield [principalArn, 'role']
  yield [rootArn(account), 'account']
}

/** Why a grant to the caller does not cover the request, in words; undefined when it does. */
export function unmet(grant: Grant, action: string, context: Context): string | undefined {
  const operation = action.startsWith('kms:') ? action.slice('kms:'.length) : action
  if (!grant.operations.includes(operation as GrantOperation)) return `it is not for ${operation}`
  const { sourceArn } = grant.constraints
  if (sourceArn !== undefined && operation !== 'RetireGrant' && context.value(SOURCE_ARN) !== sourceArn) {
    return 'the request is not made on behalf of its SourceArn'
  }
  if (operation === 'CreateGrant') return tooWide(grant, context)
  if (WITHOUT_CONTEXT.has(operation)) return undefined
  return admits(grant.constraints, context.encryptionContext) ? undefined : 'the encryption context is another one'
}

/** Keys and values case-sensitively: the stricter of the two readings that AWS's documents allow. */
function admits(constraints: GrantConstraints, context: ReadonlyMap<string, string>): boolean {
  const { encryptionContextEquals: equals, encryptionContextSubset: subset } = constraints
  if (equals !== undefined && !(equals.size === context.size && contains(context, equals))) return false
  return subset === undefined || contains(context, subset)
}

/** A grant made by a grant lends no more than it was lent: fewer operations or as many, constraints as strict. */
function tooWide(parent: Grant, context: Context): string | undefined {
  const operations = [context.value(GRANT_OPERATIONS_KEY) ?? []].flat() as string[]
  const further = operations.find(operation => !parent.operations.includes(operation as GrantOperation))
  if (further !== undefined) return `it cannot lend ${further} on`
  const { encryptionContextEquals: equals, encryptionContextSubset: subset, sourceArn } = parent.constraints
  const child = context.encryptionContext
  const type = context.value(GRANT_CONSTRAINT_TYPE)
  const types = type === undefined ? [] : [type].flat()
  if (sourceArn !== undefined && context.value(GRANT_SOURCE_ARN) !== sourceArn)
    return 'the new grant has another SourceArn'
  const sameEquals =
    equals === undefined ||
    (types.includes('EncryptionContextEquals') && equals.size === child.size && contains(child, equals))
  const asStrict = subset === undefined || (types.length > 0 && contains(child, subset))
  return sameEquals && asStrict ? undefined : 'the new grant has a weaker encryption context constraint'
}

function contains(context: ReadonlyMap<string, string>, pairs: ReadonlyMap<string, string>): boolean {
  for (const [key, value] of pairs) if (context.get(key) !== value) return false
  return true
}
