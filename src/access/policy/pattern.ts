/**
 * Text with wildcards, as policies write it: `*` stands for any characters, `?` for one, beyond the BMP too. Matching takes at most the
 * product of both lengths: no pattern makes a daemon slow.
 */

const LITERAL = 0
const ANY = 1
const ONE = 2
/** Characters after it are two units of a string. */
const LAST_OF_ONE_UNIT = 0xffff

/** A pattern: its characters, and which of them are wildcards; `wild` is absent when none is. */
export interface Pattern {
  readonly text: string
  readonly wild?: Uint8Array
}

export type Matcher = (value: string) => boolean

/** Puts a pattern together from pieces that may hold wildcards and pieces that may not. */
export class PatternBuilder {
  #text = ''
  readonly #wild: number[] = []

  /** `*` and `?` are wildcards. */
  like(text: string): this {
    for (const unit of text.split('')) this.#wild.push(unit === '*' ? ANY : unit === '?' ? ONE : LITERAL)
    this.#text += text
    return this
  }

  /** Every character stands for itself. */
  literal(text: string): this {
    for (let at = 0; at < text.length; at++) this.#wild.push(LITERAL)
    this.#text += text
    return this
  }

  append({ text, wild }: Pattern): this {
    for (let at = 0; at < text.length; at++) this.#wild.push(wild?.[at] ?? LITERAL)
    this.#text += text
    return this
  }

  finish(): Pattern {
    return patternFrom(this.#text, Uint8Array.from(this.#wild))
  }
}

export function patternOf(text: string): Pattern {
  return new PatternBuilder().like(text).finish()
}

/** The fastest way to match a pattern, for those that are matched often. */
export function matcherOf(pattern: Pattern): Matcher {
  const { text, wild } = pattern
  if (wild === undefined) return value => value === text
  const first = wild.findIndex(kind => kind !== LITERAL)
  if (first === text.length - 1 && wild[first] === ANY) {
    const start = text.slice(0, first)
    return start === '' ? () => true : value => value.startsWith(start)
  }
  return value => matches(pattern, value)
}

export function matches({ text, wild }: Pattern, value: string): boolean {
  if (wild === undefined) return value === text
  let at = 0
  let seen = 0
  // Where the last `*` stands, and how far it reaches so far: on a mismatch it takes one character more.
  let star = -1
  let reach = 0
  while (seen < value.length) {
    const kind = at < text.length ? wild[at] : undefined
    if (kind === ANY) {
      star = at
      at += 1
      reach = seen
    } else if (kind === ONE) {
      at += 1
      seen += value.codePointAt(seen)! > LAST_OF_ONE_UNIT ? 2 : 1
    } else if (kind === LITERAL && text.charCodeAt(at) === value.charCodeAt(seen)) {
      at += 1
      seen += 1
    } else if (star >= 0) {
      at = star + 1
      reach += 1
      seen = reach
    } else return false
  }
  while (at < text.length && wild[at] === ANY) at += 1
  return at === text.length
}

/** The first `fields - 1` colons separate, as in an ARN; the last field keeps the others. */
export function splitFields({ text, wild }: Pattern, fields: number): Pattern[] {
  const found: Pattern[] = []
  let start = 0
  while (found.length < fields) {
    const colon = found.length === fields - 1 ? -1 : text.indexOf(':', start)
    const end = colon < 0 ? text.length : colon
    found.push(patternFrom(text.slice(start, end), wild?.subarray(start, end)))
    if (colon < 0) break
    start = colon + 1
  }
  return found
}

function patternFrom(text: string, wild: Uint8Array | undefined): Pattern {
  return wild?.some(kind => kind !== LITERAL) ? { text, wild } : { text }
}
