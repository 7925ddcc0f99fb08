/**
 * Conditions: one operator on one condition key, compiled. A block is the conjunction of its conditions; the values of one
 * condition are alternatives, of which a negated operator allows none.
 */
import {
  type ConditionKey,
  type Context,
  type ContextValue,
  conditionKey,
  ENCRYPTION_CONTEXT,
  Variants,
} from './context.ts'
import { malformed, quoted } from './fault.ts'
import { OPERATORS, type Operator, type PolicyValue } from './operators.ts'
import type { Matcher } from './pattern.ts'
import { readBoolean } from './values.ts'

export type Effect = 'Allow' | 'Deny'

export interface Condition {
  /** `StringEquals kms:ViaService`, as the policy has it. */
  readonly text: string
  /** It holds in no request without an encryption context. */
  readonly needsEncryptionContext: boolean
  holds(context: Context, effect: Effect): boolean
}

export interface ConditionOptions {
  /** Whether the document's version knows policy variables. */
  readonly variables: boolean
  /** Whether a key means something in this kind of policy; one that does not is absent from every request. */
  readonly knows: (key: ConditionKey) => boolean
}

type SetOperator = 'ForAllValues' | 'ForAnyValue'

interface ParsedOperator {
  readonly set: SetOperator | undefined
  readonly name: string
  readonly ifExists: boolean
}

const OPERATOR = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/

/** Throws PolicyFault. */
export function compileCondition(
  operatorText: string,
  keyText: string,
  values: readonly string[],
  { variables, knows }: ConditionOptions,
): Condition {
  const parsed = parseOperator(operatorText)
  const key = conditionKey(keyText)
  const valueIn = knows(key) ? (context: Context) => context.value(key) : () => undefined
  const text = `${operatorText} ${keyText}`
  if (parsed.name === 'Null') {
    return { text, needsEncryptionContext: false, holds: nullTest(operatorText, parsed, values, valueIn) }
  }
  const operator = OPERATORS.get(parsed.name)
  if (operator === undefined) throw malformed(`${quoted(operatorText)} is no condition operator`)
  const read = values.map(value => {
    const policyValue = operator.read(value, variables)
    if (policyValue === undefined) throw malformed(`a value of ${quoted(text)} is not of the operator's type`)
    return policyValue
  })
  const needsEncryptionContext =
    key.family === ENCRYPTION_CONTEXT && !whenAbsent(parsed.set, parsed.ifExists, operator.negated)
  return { text, needsEncryptionContext, holds: valueTest(parsed, operator, matchersOf(read), valueIn) }
}

function parseOperator(text: string): ParsedOperator {
  const [, set, name, ifExists] = OPERATOR.exec(text) ?? []
  if (name === undefined) throw malformed(`${quoted(text)} is no condition operator`)
  return { set: set as SetOperator | undefined, name, ifExists: ifExists !== undefined }
}

type Holds = Condition['holds']
type ValueIn = (context: Context) => ContextValue

/** `"Null": {"key": "true"}` wants the key absent. */
function nullTest(operatorText: string, parsed: ParsedOperator, values: readonly string[], valueIn: ValueIn): Holds {
  if (parsed.set !== undefined || parsed.ifExists) throw malformed(`${quoted(operatorText)} is no condition operator`)
  const wanted = values.map(value => {
    const absent = readBoolean(value)
    if (absent === undefined) throw malformed('the value of a Null condition is neither true nor false')
    return absent
  })
  return context => wanted.includes(isAbsent(valueIn(context)))
}

/** The matchers of the values in a request, and whether variables leave one of them without a meaning. */
type Matchers = (context: Context) => { readonly matchers: readonly Matcher[]; readonly complete: boolean }

function matchersOf(values: readonly PolicyValue[]): Matchers {
  const fixed = values.flatMap(value => (value.variable ? [] : [value.matcher]))
  const variable = values.flatMap(value => (value.variable ? [value.matcherIn] : []))
  const all = { matchers: fixed, complete: true }
  if (variable.length === 0) return () => all
  return context => {
    const resolved = variable.map(matcherIn => matcherIn(context)).filter(matcher => matcher !== undefined)
    return { matchers: [...fixed, ...resolved], complete: resolved.length === variable.length }
  }
}

function valueTest(
  { set, ifExists }: ParsedOperator,
  operator: Operator,
  matchersIn: Matchers,
  valueIn: ValueIn,
): Holds {
  const { negated } = operator
  return (context, effect) => {
    const { matchers, complete } = matchersIn(context)
    // "None of these" cannot be said while one of them is unknown, whatever the effect.
    if (negated && !complete) return false
    const value = valueIn(context)
    if (value === undefined) return whenAbsent(set, ifExists, negated)
    const holds = (each: string) => matchers.some(matcher => matcher(each)) !== negated
    if (typeof value === 'string') return holds(value)
    if (value instanceof Variants) return effect === 'Allow' ? value.values.every(holds) : value.values.some(holds)
    if (value.length === 0) return whenAbsent(set, ifExists, negated)
    // A list under an operator that is not made for lists is read like ForAnyValue.
    return set === 'ForAllValues' ? value.every(holds) : value.some(holds)
  }
}

function whenAbsent(set: SetOperator | undefined, ifExists: boolean, negated: boolean): boolean {
  if (ifExists || set === 'ForAllValues') return true
  return set === undefined && negated
}

function isAbsent(value: ContextValue): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0)
}
