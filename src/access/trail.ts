/** What a request was about and why it was decided as it was: filled on its way, for the record of it. */
import type { Decision } from './decision.ts'

export interface Decided {
  /** As AWS spells it: `kms:Encrypt`. */
  readonly action: string
  readonly resource: { readonly arn: string; readonly account: string }
  readonly decision: Decision
}

export class Trail {
  #decided: readonly Decided[] = []

  get decided(): readonly Decided[] {
    return this.#decided
  }

  note(action: string, resource: Decided['resource'], decision: Decision): void {
    const one = { action, resource, decision }
    // Most requests have one; the first push to an array makes room for seventeen.
    this.#decided = this.#decided.length === 0 ? [one] : [...this.#decided, one]
  }
}
