/** What a request was about and why it was decided as it was: filled on its way, for the record of it. */
import type { Decision } from './decision.ts'

export interface Decided {
  /** As AWS spells it: `kms:Encrypt`. */
  readonly action: string
  readonly resource: { readonly arn: string; readonly account: string }
  readonly decision: Decision
}

export class Trail {
  readonly decided: Decided[] = []

  note(action: string, resource: Decided['resource'], decision: Decision): void {
    this.decided.push({ action, resource, decision })
  }
}
