/**
 * A value with policy variables: `${key}`, `${key, 'default'}`, and `${*}`, `${?}`, `${$}` for characters that would
 * otherwise mean something. What a variable stands for is literal: a wildcard in a tag is no wildcard of the policy.
 */
import { type ConditionKey, type Context, type ContextValue, conditionKey } from './context.ts'
import { type Pattern, PatternBuilder } from './pattern.ts'

type Piece =
  | { readonly kind: 'text' | 'literal'; readonly text: string }
  | { readonly kind: 'variable'; readonly key: ConditionKey; readonly fallback: string | undefined }

export interface Template {
  readonly pieces: readonly Piece[]
  /** Whether it depends on the request. */
  readonly variable: boolean
}

const VARIABLE = /\$\{([^}]*)\}/g
/** The names of tags may hold spaces. */
const REFERENCE = /^\s*([^\s,'](?:[^,']*[^\s,'])?)\s*(?:,\s*'([^']*)'\s*)?$/
const CHARACTERS: ReadonlySet<string> = new Set(['*', '?', '$'])

/** `variables` is false for documents of version 2008-10-17, where `${` is text like any other. */
export function templateOf(text: string, variables: boolean): Template {
  if (!variables || !text.includes('${')) return { pieces: [{ kind: 'text', text }], variable: false }
  const pieces: Piece[] = []
  let end = 0
  for (const match of text.matchAll(VARIABLE)) {
    if (match.index > end) pieces.push({ kind: 'text', text: text.slice(end, match.index) })
    pieces.push(pieceOf(match[1] ?? ''))
    end = match.index + match[0].length
  }
  if (end < text.length) pieces.push({ kind: 'text', text: text.slice(end) })
  return { pieces, variable: pieces.some(({ kind }) => kind === 'variable') }
}

function pieceOf(inner: string): Piece {
  if (CHARACTERS.has(inner)) return { kind: 'literal', text: inner }
  // What is no variable names a key that no request has: it cannot be resolved.
  const [, name = '', fallback] = REFERENCE.exec(inner) ?? []
  return { kind: 'variable', key: conditionKey(name), fallback }
}

/** An empty list is an absent key. */
function readValue(key: ConditionKey, context: Context | undefined): ContextValue {
  const value = context?.value(key)
  return Array.isArray(value) && value.length === 0 ? undefined : value
}

/** The value as a pattern; undefined when a variable has no single value and no default. */
export function resolve({ pieces }: Template, context: Context | undefined): Pattern | undefined {
  const builder = new PatternBuilder()
  for (const piece of pieces) {
    if (piece.kind === 'text') builder.like(piece.text)
    else {
      const value = piece.kind === 'variable' ? (readValue(piece.key, context) ?? piece.fallback) : piece.text
      if (typeof value !== 'string') return undefined
      builder.literal(value)
    }
  }
  return builder.finish()
}
