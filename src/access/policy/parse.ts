/**
 * From a policy document to a compiled policy, or to what is wrong with it (authz.md 2.1). Elements that AWS does not know
 * are refused: a misspelt condition must not turn into none.
 */
import { type Condition, compileCondition } from './conditions.ts'
import { type ConditionKey, type Context, conditionKey, ENCRYPTION_CONTEXT } from './context.ts'
import { duplicateMember } from './duplicates.ts'
import { malformed, PolicyFault, quoted } from './fault.ts'
import { type Matcher, matcherOf, type Pattern, PatternBuilder, patternOf } from './pattern.ts'
import { Policy, type Statement } from './policy.ts'
import { compilePrincipals, type Principals } from './principals.ts'
import { resolve, templateOf } from './template.ts'

/**
 * - `key`: a key policy; it has principals, and its resource is the key.
 * - `identity`: of a user, group or role, also as a boundary or session policy; it has resources, and no principals.
 * - `trust`: of a role; it has principals, and no resources.
 */
export type PolicyKind = 'key' | 'identity' | 'trust'

type Json = Readonly<Record<string, unknown>>

const VERSIONS: ReadonlySet<unknown> = new Set(['2012-10-17', '2008-10-17', undefined])
const VERSION_WITH_VARIABLES = '2012-10-17'
const DOCUMENT_MEMBERS: ReadonlySet<string> = new Set(['Version', 'Id', 'Statement'])
const STATEMENT_MEMBERS: ReadonlySet<string> = new Set([
  ...['Sid', 'Effect', 'Principal', 'NotPrincipal', 'Action', 'NotAction', 'Resource', 'NotResource', 'Condition'],
])
const ACTION = /^(?:\*|[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+)$/
const ARN_PREFIX = /^(?:[^:]*:){5}/

/** `name` is how reasons call it. Throws {@link PolicyFault}. */
export function parsePolicy(kind: PolicyKind, name: string, document: string): Policy {
  let json: unknown
  try {
    json = JSON.parse(document)
  } catch {
    throw malformed('it is not JSON')
  }
  const twice = duplicateMember(document)
  if (twice !== undefined) throw malformed(`it has ${quoted(twice)} twice in one object`)
  return compilePolicy(kind, name, json)
}

/** The same for a document that is parsed already. Throws {@link PolicyFault}. */
export function compilePolicy(kind: PolicyKind, name: string, json: unknown): Policy {
  if (!isObject(json)) throw malformed('it is not a JSON object')
  requireMembers(json, DOCUMENT_MEMBERS, 'a policy')
  if (!VERSIONS.has(json.Version)) throw malformed('its Version is neither 2012-10-17 nor 2008-10-17')
  if (json.Id !== undefined && typeof json.Id !== 'string') throw malformed('its Id is not text')
  const statements = [json.Statement ?? []].flat()
  if (statements.length === 0) throw malformed('it has no statement')
  const variables = json.Version === VERSION_WITH_VARIABLES
  const label = (at: number, sid: unknown) =>
    `${name}, statement ${at + 1}${typeof sid === 'string' && sid !== '' ? ` (${quoted(sid)})` : ''}`
  return new Policy(
    name,
    statements.map((statement, at) => {
      if (!isObject(statement)) throw malformed('a statement is not an object')
      return compileStatement(kind, label(at, statement.Sid), statement, variables)
    }),
  )
}

function compileStatement(kind: PolicyKind, label: string, json: Json, variables: boolean): Statement {
  requireMembers(json, STATEMENT_MEMBERS, 'a statement')
  if (json.Sid !== undefined && typeof json.Sid !== 'string') throw malformed('a Sid is not text')
  const { Effect: effect } = json
  if (effect !== 'Allow' && effect !== 'Deny') throw malformed('the Effect of a statement is neither Allow nor Deny')
  return {
    label,
    effect,
    principals: principalsOf(kind, json),
    isAboutAction: actionsOf(json),
    hasResource: json.Resource !== undefined,
    isAboutResource: resourcesOf(kind, json, variables),
    conditions: conditionsOf(kind, json, variables),
  }
}

function principalsOf(kind: PolicyKind, json: Json): Principals | undefined {
  const element = oneOf(json, 'Principal', 'NotPrincipal')
  if (kind === 'identity') {
    if (element === undefined) return undefined
    throw malformed('an identity policy has no Principal')
  }
  if (element === undefined) throw malformed('a statement has no Principal')
  const { value, not } = element
  if (value === '*') return compilePrincipals('*', not)
  if (!isObject(value)) throw malformed('a Principal is neither "*" nor an object')
  const lists = new Map(Object.entries(value).map(([name, names]) => [name, textsOf(names, 'Principal')]))
  if (not && [...lists.values()].every(names => names.length === 0)) throw malformed('a NotPrincipal is empty')
  return compilePrincipals(lists, not)
}

function actionsOf(json: Json): Statement['isAboutAction'] {
  const element = oneOf(json, 'Action', 'NotAction')
  if (element === undefined) throw malformed('a statement has no Action')
  const actions = textsOf(element.value, 'Action')
  if (element.not && actions.length === 0) throw malformed('a NotAction is empty')
  if (!actions.every(action => ACTION.test(action)))
    throw malformed('an Action is neither "*" nor of the form service:name')
  const matchers = actions.map(action => matcherOf(patternOf(action.toLowerCase())))
  return action => matchers.some(matcher => matcher(action)) !== element.not
}

/** A key policy may leave its resource out, where it is stored or tried: it is the key (authz.md 3). */
function resourcesOf(kind: PolicyKind, json: Json, variables: boolean): Statement['isAboutResource'] {
  const element = oneOf(json, 'Resource', 'NotResource')
  if (kind === 'trust' && element !== undefined) throw malformed('a trust policy has no Resource')
  if (element === undefined) {
    if (kind === 'identity') throw malformed('a statement has no Resource')
    return () => true
  }
  const resources = textsOf(element.value, 'Resource')
  if (element.not && resources.length === 0) throw malformed('a NotResource is empty')
  const matchers = resources.map(resource => resourceMatcher(resource, variables))
  return (arn, context) => {
    let matched = false
    for (const matcherIn of matchers) {
      const matcher = typeof matcherIn === 'function' ? matcherIn : matcherIn.in(context)
      // "None of these" cannot be said while one of them is unknown.
      if (matcher === undefined && element.not) return false
      matched ||= matcher?.(arn) === true
    }
    return matched !== element.not
  }
}

type ResourceMatcher = Matcher | { in(context: Context): Matcher | undefined }

/** Variables stand in the last field of an ARN only. */
function resourceMatcher(resource: string, variables: boolean): ResourceMatcher {
  const [prefix] = ARN_PREFIX.exec(resource) ?? ['']
  const template = templateOf(resource.slice(prefix.length), variables && prefix !== '')
  const join = (rest: Pattern) => matcherOf(new PatternBuilder().like(prefix).append(rest).finish())
  const fixed = template.variable ? undefined : resolve(template, undefined)
  if (fixed !== undefined) return join(fixed)
  return {
    in(context) {
      const rest = resolve(template, context)
      return rest && join(rest)
    },
  }
}

/** In a key policy these mean nothing, whatever the request (authz.md 4.2, 4.3). */
const IDENTITY_ONLY_KEY = 'kms:resourcealiases'
const IDENTITY_ONLY_FAMILY = 'aws:resourcetag/'
/** Under ForAllValues an absent member of these would satisfy the condition. */
const OVERLY_PERMISSIVE: ReadonlySet<string | undefined> = new Set([ENCRYPTION_CONTEXT, 'aws:requesttag/'])

function conditionsOf(kind: PolicyKind, json: Json, variables: boolean): readonly Condition[] {
  const { Condition: block } = json
  if (block === undefined) return []
  if (!isObject(block)) throw malformed('a Condition is not an object')
  const knows = ({ name, family }: ConditionKey) =>
    kind !== 'key' || (name !== IDENTITY_ONLY_KEY && family !== IDENTITY_ONLY_FAMILY)
  return Object.entries(block).flatMap(([operator, keys]) => {
    if (!isObject(keys)) throw malformed('a condition operator has no object of condition keys')
    return Object.entries(keys).map(([key, values]) => {
      if (kind === 'key') requireSpecific(operator, key)
      return compileCondition(operator, key, scalarsOf(values), { variables, knows })
    })
  })
}

/** Throws {@link PolicyFault} with the words of AWS. */
function requireSpecific(operator: string, key: string): void {
  if (!operator.startsWith('ForAllValues:') || !OVERLY_PERMISSIVE.has(conditionKey(key).family)) return
  throw new PolicyFault(
    `OverlyPermissiveCondition: ${operator} with ${quoted(key)} is satisfied by a request without it.`,
  )
}

interface Element {
  readonly value: unknown
  /** Whether it is the form with Not. */
  readonly not: boolean
}

/** An element in one of its two forms; undefined when it has neither. */
function oneOf(json: Json, name: string, notName: string): Element | undefined {
  const { [name]: value, [notName]: notValue } = json
  if (value !== undefined && notValue !== undefined) throw malformed(`a statement has ${name} and ${notName}`)
  if (value !== undefined) return { value, not: false }
  return notValue === undefined ? undefined : { value: notValue, not: true }
}

/** A scalar stands for a list of one. */
function textsOf(value: unknown, what: string): string[] {
  const values = [value].flat()
  if (!values.every(each => typeof each === 'string')) throw malformed(`${what} is neither text nor a list of texts`)
  return values
}

/** Booleans and numbers compare as what JSON writes for them. */
function scalarsOf(value: unknown): string[] {
  return [value].flat().map(each => {
    if (typeof each === 'string') return each
    if (typeof each === 'boolean' || typeof each === 'number') return String(each)
    throw malformed('a condition value is neither text, number nor boolean')
  })
}

function requireMembers(json: Json, known: ReadonlySet<string>, what: string): void {
  const unknown = Object.keys(json).find(member => !known.has(member))
  if (unknown !== undefined) throw malformed(`${what} has no element ${quoted(unknown)}`)
}

function isObject(json: unknown): json is Json {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}
