/** What a transaction has written, by name: what memory must forget once it has been committed. */
import type { Scope } from './records.ts'

export class Touched {
  readonly keys = new Set<string>()
  readonly aliases = new Set<string>()
  readonly accessKeys = new Set<string>()
  /** Principal ids: identity, policies and access keys are forgotten together. */
  readonly principals = new Set<string>()
  /** A policy or a group that principals share has changed. */
  everyPrincipal = false
}

/** One text for a key id or an alias name of an account in a region: none of the first two holds a slash. */
export function scopedName({ region, account }: Scope, name: string): string {
  return `${region}/${account}/${name}`
}
