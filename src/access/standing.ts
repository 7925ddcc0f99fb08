/**
 * Decisions that allow, remembered by the statements they stand on: what lets a caller use a key is the same from request to
 * request, so each is worded once.
 */
import type { Allowed } from './decision.ts'
import type { Statement } from './policy/policy.ts'

const alone = new WeakMap<Statement, Allowed>()

/** One statement is enough. */
export function allowedAlone(statement: Statement): Allowed {
  let allowed = alone.get(statement)
  if (allowed === undefined) {
    allowed = { allowed: true, reason: statement.label, statements: [statement] }
    alone.set(statement, allowed)
  }
  return allowed
}

/** Two statements are enough together. */
export class Together {
  readonly #wording: string
  readonly #known = new WeakMap<Statement, WeakMap<Statement, Allowed>>()

  /** What a reason says between the labels of the two. */
  constructor(wording: string) {
    this.#wording = wording
  }

  of(first: Statement, second: Statement): Allowed {
    let known = this.#known.get(first)
    if (known === undefined) {
      known = new WeakMap()
      this.#known.set(first, known)
    }
    let allowed = known.get(second)
    if (allowed === undefined) {
      const reason = `${first.label}${this.#wording}${second.label}`
      allowed = { allowed: true, reason, statements: [first, second] }
      known.set(second, allowed)
    }
    return allowed
  }
}
