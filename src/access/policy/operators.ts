/** THE table of condition operators: how each reads a value of the policy, and what it holds against the request's. */
import type { Context } from './context.ts'
import { type Matcher, matcherOf, type Pattern, splitFields } from './pattern.ts'
import { resolve, templateOf } from './template.ts'
import { readAddressBlock, readBinary, readBoolean, readDate, readNumber } from './values.ts'

/**
 * One value of a policy: whether it matches a value of the request. With policy variables that depends on the request;
 * undefined says that a variable has no single value there.
 */
export type PolicyValue =
  | { readonly variable: false; readonly matcher: Matcher }
  | { readonly variable: true; readonly matcherIn: (context: Context) => Matcher | undefined }

export interface Operator {
  /** The request's value must match none of the policy's; an absent key satisfies it. */
  readonly negated: boolean
  /** Undefined when the text is no value of the operator's type. */
  readonly read: (text: string, variables: boolean) => PolicyValue | undefined
}

/** Operators on text, which may hold variables. */
function templated(matcherFrom: (pattern: Pattern) => Matcher): Operator['read'] {
  return (text, variables) => {
    const template = templateOf(text, variables)
    const matcherIn = (context: Context | undefined) => {
      const pattern = resolve(template, context)
      return pattern && matcherFrom(pattern)
    }
    if (template.variable) return { variable: true, matcherIn }
    const matcher = matcherIn(undefined)
    return matcher && { variable: false, matcher }
  }
}

/** Operators on other types: no variables, and a value of the request that is not of the type matches nothing. */
function typed<T>(read: (text: string) => T | undefined, holds: (value: T, policy: T) => boolean): Operator['read'] {
  return text => {
    const policy = read(text)
    if (policy === undefined) return undefined
    const matcher = (text: string) => {
      const value = read(text)
      return value !== undefined && holds(value, policy)
    }
    return { variable: false, matcher }
  }
}

const equal = <T>(a: T, b: T) => a === b
const text = templated(
  ({ text: policy }) =>
    value =>
      value === policy,
)
const textOfAnyCase = templated(({ text: policy }) => {
  const folded = policy.toLowerCase()
  return value => value.toLowerCase() === folded
})
const like = templated(matcherOf)

const ARN_FIELDS = 6

/** The six fields of an ARN, each by itself: no wildcard reaches over a colon but in the last. */
const arn = templated(pattern => {
  const fields = splitFields(pattern, ARN_FIELDS).map(matcherOf)
  return value => {
    const parts = splitFields({ text: value }, ARN_FIELDS)
    return (
      fields.length === ARN_FIELDS &&
      parts.length === ARN_FIELDS &&
      fields.every((matcher, at) => matcher(parts[at]?.text ?? ''))
    )
  }
})

const address: Operator['read'] = value => {
  const matcher = readAddressBlock(value)
  return matcher && { variable: false, matcher }
}

const is = (read: Operator['read']): Operator => ({ negated: false, read })
const isNot = (read: Operator['read']): Operator => ({ negated: true, read })
const number = (holds: (value: number, policy: number) => boolean) => typed(readNumber, holds)
const date = (holds: (value: number, policy: number) => boolean) => typed(readDate, holds)
const less = (a: number, b: number) => a < b
const lessOrEqual = (a: number, b: number) => a <= b
const greater = (a: number, b: number) => a > b
const greaterOrEqual = (a: number, b: number) => a >= b

/** By name, but for Null, which asks for presence and reads no value of the request. */
export const OPERATORS: ReadonlyMap<string, Operator> = new Map([
  ['StringEquals', is(text)],
  ['StringNotEquals', isNot(text)],
  ['StringEqualsIgnoreCase', is(textOfAnyCase)],
  ['StringNotEqualsIgnoreCase', isNot(textOfAnyCase)],
  ['StringLike', is(like)],
  ['StringNotLike', isNot(like)],
  ['NumericEquals', is(number(equal))],
  ['NumericNotEquals', isNot(number(equal))],
  ['NumericLessThan', is(number(less))],
  ['NumericLessThanEquals', is(number(lessOrEqual))],
  ['NumericGreaterThan', is(number(greater))],
  ['NumericGreaterThanEquals', is(number(greaterOrEqual))],
  ['DateEquals', is(date(equal))],
  ['DateNotEquals', isNot(date(equal))],
  ['DateLessThan', is(date(less))],
  ['DateLessThanEquals', is(date(lessOrEqual))],
  ['DateGreaterThan', is(date(greater))],
  ['DateGreaterThanEquals', is(date(greaterOrEqual))],
  ['Bool', is(typed(readBoolean, equal))],
  ['BinaryEquals', is(typed(readBinary, equal))],
  ['IpAddress', is(address)],
  ['NotIpAddress', isNot(address)],
  ['ArnEquals', is(arn)],
  ['ArnLike', is(arn)],
  ['ArnNotEquals', isNot(arn)],
  ['ArnNotLike', isNot(arn)],
])
