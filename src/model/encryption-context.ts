/**
 * The encryption context: a Map of well-formed strings, never a plain object, so that a pair named `__proto__` is a
 * pair like any other (security.md 2.1).
 */

export type EncryptionContext = ReadonlyMap<string, string>

export const EMPTY_CONTEXT: EncryptionContext = new Map()

/** Bytes of keys and values together. AWS publishes no bound; 8 KiB of AAD is what its requests can carry in practice. */
export const CONTEXT_MAX_BYTES = 8_192

/** Why a value is no encryption context, in the words of the wire. */
export type ContextFault = 'type' | 'surrogate' | 'size'

/**
 * A context from parsed JSON. Scalars that are not strings become what JavaScript prints for them; AWS takes their literal
 * form, which JSON.parse does not keep. Lone surrogates are refused: all of them encode as EF BF BD, so that different contexts would give one AAD.
 */
export function encryptionContextFrom(value: unknown): EncryptionContext | ContextFault {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'type'
  const context = new Map<string, string>()
  let bytes = 0
  for (const [key, member] of Object.entries(value)) {
    if (member === null || typeof member === 'object') return 'type'
    const text = String(member)
    if (!key.isWellFormed() || !text.isWellFormed()) return 'surrogate'
    bytes += Buffer.byteLength(key) + Buffer.byteLength(text)
    if (bytes > CONTEXT_MAX_BYTES) return 'size'
    context.set(key, text)
  }
  return context
}
