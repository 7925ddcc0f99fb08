/**
 * The request context as conditions see it: condition keys by their lower-case names, each with a value, several, or
 * none. Where it comes from (a request, a file) is not known here.
 */

/**
 * Members of a map that the caller wrote, whose keys differ by case only: condition keys fold case, so all of them are
 * meant. An Allow needs every one of them to match, a Deny any (security.md 2.1).
 */
export class Variants {
  readonly values: readonly string[]

  constructor(values: readonly string[]) {
    this.values = values
  }
}

/** A single value, a list, or undefined for a key that the request does not have. An empty list counts as absent. */
export type ContextValue = string | readonly string[] | Variants | undefined

export interface Context {
  value(key: ConditionKey): ContextValue
  /**
   * The encryption context of the request as the caller wrote it, or the constraint of a grant that is to be made. While it is
   * empty, no condition key `kms:EncryptionContext:…` has a value.
   */
  readonly encryptionContext: ReadonlyMap<string, string>
}

export const ENCRYPTION_CONTEXT = 'kms:encryptioncontext:'
const FAMILIES = [ENCRYPTION_CONTEXT, 'aws:principaltag/', 'aws:resourcetag/', 'aws:requesttag/'] as const
/** Condition keys that name a member of a map. */
type Family = (typeof FAMILIES)[number]

export interface ConditionKey {
  /** Lower case, whole: `kms:encryptioncontext:app`. */
  readonly name: string
  /** `kms:encryptioncontext:`; undefined for keys that name no member of a map. */
  readonly family?: Family
  /** The member's name in lower case: `app`. */
  readonly member?: string
}

export function conditionKey(text: string): ConditionKey {
  const name = text.toLowerCase()
  const family = FAMILIES.find(prefix => name.startsWith(prefix) && name.length > prefix.length)
  return family === undefined ? { name } : { name, family, member: name.slice(family.length) }
}

/** The members of a map whose keys are `member` but for case. */
export function foldedMember(entries: Iterable<readonly [string, string]>, member: string): ContextValue {
  let only: string | undefined
  let several: string[] | undefined
  for (const [key, value] of entries) {
    if (key !== member && key.toLowerCase() !== member) continue
    if (only === undefined) only = value
    else {
      several ??= [only]
      several.push(value)
    }
  }
  return several === undefined ? only : new Variants(several)
}
