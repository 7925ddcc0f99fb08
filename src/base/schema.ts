/**
 * AWS shapes: what the members of a request may be, written down once, on zod. A shape gives the TypeScript type, the
 * check that every request passes, and, when it fails, AWS's own words for it.
 *
 * JSON null is an absent member, and unknown members are ignored. A value of the wrong JSON type is one kind of fault, a
 * value that breaks constraints another; the latter are reported all together.
 */
import * as z from 'zod'

/** Any shape of this file. */
export type Shape<T = unknown> = z.ZodType<T>
/** A shape that describes a JSON object. */
export type Structure = z.ZodObject
/** The type of the values that a shape lets through. An optional member is `T | undefined`. */
export type Infer<S extends Shape> = z.output<S>

interface LengthBounds {
  readonly min?: number
  readonly max?: number
}

export interface TextConstraints extends LengthBounds {
  /** Without flags and anchored, as AWS publishes it: its source is what a caller reads. */
  readonly pattern?: RegExp
  /** The value never appears in a message. */
  readonly sensitive?: true
}

const sensitiveShapes = new WeakSet<z.core.$ZodType>()
const textConstraints = new WeakMap<z.core.$ZodType, TextConstraints>()

/** A string of well-formed Unicode: the store would keep another character for a lone surrogate. Lengths are in code points. */
export function text(constraints: TextConstraints = {}) {
  const { min, max, pattern, sensitive } = constraints
  let shape = z.string().refine(value => value.isWellFormed(), ILL_FORMED)
  if (min !== undefined) shape = shape.min(min)
  if (max !== undefined) shape = shape.max(max)
  if (pattern !== undefined) shape = shape.regex(pattern)
  if (sensitive) sensitiveShapes.add(shape)
  textConstraints.set(shape, constraints)
  return shape
}

/** Bytes: standard padded base64 in JSON, a Buffer in the program. Their value never appears in a message. */
export function blob({ min = 0, max = Number.POSITIVE_INFINITY }: LengthBounds = {}) {
  const shape = custom<Buffer>(value => {
    if (typeof value !== 'string') return wrongType(conversion(value, 'a Blob'))
    const bytes = decodeBase64(value)
    if (bytes === undefined) return wrongType('Invalid Base64')
    if (bytes.length < min) return broken(lengthAtLeast(min))
    if (bytes.length > max) return broken(lengthAtMost(max))
    return bytes
  })
  sensitiveShapes.add(shape)
  return shape
}

/** A whole number; one with a fraction is of the wrong type. */
export function integer({ min, max }: Required<LengthBounds>) {
  return z.int().min(min).max(max)
}

/** Seconds since the Unix epoch, with a fraction or without. */
export function timestamp() {
  return custom<number>(value =>
    typeof value === 'number' && Number.isFinite(value) ? value : wrongType(conversion(value, 'a Timestamp')),
  )
}

export function boolean() {
  return z.boolean()
}

/** One of these strings. The order is the one in which a caller reads them. */
export function oneOf<const T extends readonly [string, ...string[]]>(values: T) {
  return z.enum(values)
}

/** An array; null elements are dropped. */
export function list<S extends Shape>(item: S, { min, max }: LengthBounds = {}) {
  let shape = z.array(item)
  if (min !== undefined) shape = shape.min(min)
  if (max !== undefined) shape = shape.max(max)
  return shape
}

/** A JSON object with these members, spelled as on the wire; all are required but those that are `optional`. */
export function structure<M extends Record<string, Shape>>(members: M) {
  return z.object(members)
}

/** A member that may be absent, or null. */
export function optional<S extends Shape>(shape: S) {
  return shape.optional()
}

/** Why a custom shape refuses a value. */
export class Refusal {
  readonly fault: 'type' | 'constraint'
  readonly words: string

  constructor(fault: 'type' | 'constraint', words: string) {
    this.fault = fault
    this.words = words
  }
}

/** The value has the wrong JSON type. `message` is the whole public message. */
export function wrongType(message: string): Refusal {
  return new Refusal('type', message)
}

/** The value breaks a constraint. `rule` follows "failed to satisfy constraint: ". */
export function broken(rule: string): Refusal {
  return new Refusal('constraint', rule)
}

const ABSENT = broken('Member must not be null')
const ILL_FORMED = { params: { refusal: broken('Member must be well-formed Unicode') } }

/**
 * A shape of its own kind, for what JSON has no type for: `parse` returns the value, or says why not with `wrongType` or
 * `broken`. It may be called more than once for one value; it is never asked about null, but sees nulls inside the value.
 */
export function custom<T>(parse: (value: unknown) => T | Refusal) {
  return z.transform((value: unknown, context): T => {
    const parsed = value === undefined || value === null ? ABSENT : parse(value)
    if (!(parsed instanceof Refusal)) return parsed
    context.issues.push({ code: 'custom', input: value, params: { refusal: parsed } })
    return z.NEVER
  })
}

export type Parsed<T> =
  | { readonly value: T; readonly fault?: undefined }
  /** `path` is AWS's: `tags.1.member.tagKey`. The message holds no value. */
  | { readonly fault: 'type'; readonly path: string; readonly message: string }
  | { readonly fault: 'constraints'; readonly message: string }

const compiled = new WeakMap<Structure, Structure>()

/**
 * Reads an input that JSON.parse has made. The way of a good input costs half a microsecond; what is wrong with a bad one
 * is worked out afterwards.
 */
export function parseInput<S extends Structure>(shape: S, json: unknown): Parsed<Infer<S>> {
  let parser = compiled.get(shape)
  if (parser === undefined) {
    parser = z.compile(shape)
    compiled.set(shape, parser)
  }
  const result = parser.safeParse(json)
  if (result.success) return { value: result.data as Infer<S> }
  // Nulls are rare enough to be looked for only now.
  const dense = withoutNulls(shape, json)
  const { error, data } = shape.safeParse(dense)
  return error === undefined ? { value: data as Infer<S> } : explain(shape, dense, error.issues)
}

type Issue = z.core.$ZodIssue
type AnyShape = z.core.$ZodTypes

/** The shape behind `optional`. */
function inner(shape: z.core.$ZodType): AnyShape {
  const known = shape as AnyShape
  return known._zod.def.type === 'optional' ? inner(known._zod.def.innerType) : known
}

/** The same JSON without null members and null elements, where the shape knows of them: a custom shape sees its nulls. */
function withoutNulls(shape: z.core.$ZodType, json: unknown): unknown {
  const { def } = inner(shape)._zod
  if (def.type === 'array' && Array.isArray(json)) {
    return json.filter(element => element !== null).map(element => withoutNulls(def.element, element))
  }
  if (def.type !== 'object' || !isObject(json)) return json
  const members: Record<string, unknown> = {}
  for (const [name, member] of Object.entries(def.shape)) {
    const value = Object.hasOwn(json, name) ? json[name] : undefined
    if (value !== undefined && value !== null) members[name] = withoutNulls(member, value)
  }
  return members
}

function isObject(json: unknown): json is Record<string, unknown> {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

/** AWS's words for zod's issues. A fault of type comes before all constraints: AWS finds it while it still reads. */
function explain(root: Structure, json: unknown, issues: readonly Issue[]): Parsed<never> {
  const failures = new Map<string, string>()
  for (const issue of issues) {
    const place = placeOf(root, json, issue.path)
    const refusal = refusalOf(issue, place)
    if (refusal.fault === 'type') return { fault: 'type', path: place.path, message: refusal.words }
    const { at = place } = place
    const words = at === place ? refusal.words : `Member must satisfy constraint: [${rulesOf(issue, place, refusal)}]`
    const failure = `${at.path}: ${words}`
    if (!failures.has(failure)) failures.set(failure, `${subject(at)} failed to satisfy constraint: ${words}`)
  }
  const count = failures.size === 1 ? '1 validation error' : `${failures.size} validation errors`
  return {
    fault: 'constraints',
    message: `${count} detected: ${[...failures.values()].slice(0, FAILURES_LISTED).join('; ')}`,
  }
}

/** More than any input breaks by mistake: a list of many thousand bad elements must not become a message of megabytes. */
const FAILURES_LISTED = 64

interface Place {
  readonly path: string
  readonly shape: AnyShape
  readonly value: unknown
  /** Of an element that is text: its list, where a broken constraint is reported, once for all elements. */
  readonly at?: Place
}

function placeOf(root: Structure, json: unknown, steps: Issue['path']): Place {
  const names: string[] = []
  let shape: AnyShape = inner(root)
  let value = json
  let at: Place | undefined
  for (const step of steps) {
    const { def } = shape._zod
    if (def.type === 'array' && typeof step === 'number') {
      if (SCALARS.has(inner(def.element)._zod.def.type)) at = { path: names.join('.'), shape, value }
      names.push(String(step + 1), 'member')
      shape = inner(def.element)
      value = (value as unknown[])[step]
    } else if (def.type === 'object' && typeof step === 'string') {
      names.push(step.charAt(0).toLowerCase() + step.slice(1))
      shape = inner(def.shape[step]!)
      value = (value as Record<string, unknown>)[step]
    }
  }
  return { path: names.join('.'), shape, value, ...(at && { at }) }
}

const SCALARS: ReadonlySet<string> = new Set(['string', 'enum'])

/** All that the elements of a list must satisfy, whichever of it is broken; a constraint that AWS has not stands alone. */
function rulesOf(issue: Issue, { shape }: Place, { words }: Refusal): string {
  const constraints = issue.code === 'custom' ? undefined : textConstraints.get(shape)
  if (constraints === undefined) return words
  const { min, max, pattern } = constraints
  return [
    ...(max === undefined ? [] : [lengthAtMost(max)]),
    ...(min === undefined ? [] : [lengthAtLeast(min)]),
    ...(pattern === undefined ? [] : [matching(String(pattern))]),
  ].join(', ')
}

/** What zod found, in AWS's words. */
function refusalOf(issue: Issue, { shape, value }: Place): Refusal {
  if (value === undefined) return broken('Member must not be null')
  if (issue.code === 'custom') return issue.params?.refusal as Refusal
  const misfit = misfitOf(shape, value)
  if (misfit !== undefined) return wrongType(misfit)
  switch (issue.code) {
    case 'too_big':
      return broken(issue.origin === 'number' ? valueAtMost(issue.maximum) : lengthAtMost(issue.maximum))
    case 'too_small':
      return broken(issue.origin === 'number' ? valueAtLeast(issue.minimum) : lengthAtLeast(issue.minimum))
    case 'invalid_format':
      return broken(matching(issue.pattern ?? ''))
    case 'invalid_value':
      return broken(`Member must satisfy enum value set: [${issue.values.map(String).join(', ')}]`)
    default:
      throw new Error(`a shape of base/schema cannot fail with "${issue.code}"`)
  }
}

/** Why a value is not even of the shape's JSON type; undefined when it is. The words are AWS's. */
function misfitOf(shape: AnyShape, value: unknown): string | undefined {
  switch (shape._zod.def.type) {
    case 'string':
    case 'enum':
      return typeof value === 'string' ? undefined : conversion(value, 'a String')
    case 'number':
      return Number.isSafeInteger(value) ? undefined : conversion(value, 'an Integer')
    case 'boolean':
      return typeof value === 'boolean' ? undefined : conversion(value, 'a Boolean')
    case 'array':
      if (Array.isArray(value)) return undefined
      return isObject(value) ? STRUCTURE_FOUND : 'Expected list or null'
    case 'object':
      if (isObject(value)) return undefined
      return Array.isArray(value) ? LIST_FOUND : 'Expected null'
    default:
      return undefined
  }
}

const STRUCTURE_FOUND = 'Start of structure or map found where not expected.'
const LIST_FOUND = 'Start of list found where not expected'

function conversion(value: unknown, target: string): string {
  if (Array.isArray(value)) return LIST_FOUND
  if (isObject(value)) return STRUCTURE_FOUND
  const found = typeof value === 'boolean' ? String(value) : typeof value
  return `${found.toUpperCase()}_VALUE can not be converted to ${target}`
}

const lengthAtLeast = (bound: number | bigint) => `Member must have length greater than or equal to ${bound}`
const lengthAtMost = (bound: number | bigint) => `Member must have length less than or equal to ${bound}`
const valueAtLeast = (bound: number | bigint) => `Member must have value greater than or equal to ${bound}`
const valueAtMost = (bound: number | bigint) => `Member must have value less than or equal to ${bound}`

/** `literal` is the pattern between slashes, as zod reports it. */
function matching(literal: string): string {
  return `Member must satisfy regular expression pattern: ${literal.slice(1, -1).replaceAll('\\/', '/')}`
}

/** AWS shows the whole. Only policies are longer than this. */
const ECHO_MAX_CHARACTERS = 10_000

/** `Value '<v>' at 'keyId'`: without the value where it is secret or has no short form. */
function subject({ path, shape, value }: Place): string {
  if (value === undefined) return `Value null at '${path}'`
  const form = isSensitive(shape) ? undefined : shortForm(value)
  return form === undefined ? `Value at '${path}'` : `Value '${form}' at '${path}'`
}

function isSensitive(shape: AnyShape): boolean {
  const { def } = shape._zod
  return sensitiveShapes.has(shape) || (def.type === 'array' && isSensitive(inner(def.element)))
}

function shortForm(value: unknown): string | undefined {
  if (Array.isArray(value)) {
    return value.every(element => typeof element === 'string') ? cut(`[${value.join(', ')}]`) : undefined
  }
  return typeof value === 'object' ? undefined : cut(String(value))
}

function cut(text: string): string {
  return text.length <= ECHO_MAX_CHARACTERS ? text : `${text.slice(0, ECHO_MAX_CHARACTERS)}...`
}

/**
 * Strict, with one encoding for each value. Buffer itself skips what is not base64, takes the URL alphabet, reads only the
 * low byte of a character and ignores left-over bits; the length it arrives at and a few searches stand for a look at
 * every character.
 */
function decodeBase64(text: string): Buffer | undefined {
  const { length } = text
  if (length % 4 !== 0 || Buffer.byteLength(text) !== length || text.includes('-') || text.includes('_'))
    return undefined
  const padding = !text.endsWith('=') ? 0 : text.endsWith('==') ? 2 : 1
  if (padding > 0 && !LAST_CHARACTERS[padding]!.includes(text.charAt(length - padding - 1))) return undefined
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === (length / 4) * 3 - padding ? bytes : undefined
}

/** By padding: the characters whose left-over bits are zero (RFC 4648 section 3.5). */
const LAST_CHARACTERS = ['', 'AEIMQUYcgkosw048', 'AQgw']
