/** The authenticated principal of a request, and the decision about what it asks for. */
import type { Identity } from './identity.ts'

export interface Caller {
  readonly account: string
  /** The ARN that policies and messages name. */
  readonly arn: string
  readonly accessKeyId: string
  readonly identity: Identity
}

/** Allowed or not, and always why: the reason goes into the message and the log. */
export type Decision =
  | { readonly allowed: true; readonly reason: string }
  | { readonly allowed: false; readonly reason: string; readonly message: string }
