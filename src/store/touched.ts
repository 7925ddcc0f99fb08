/** What a transaction has written, by name: what memory must forget once it has been committed. */
import type { Scope } from './records.ts'
import type { StoreChange } from './store.ts'

export class Touched {
  readonly keys = new Set<string>()
  readonly aliases = new Set<string>()
  readonly accessKeys = new Set<string>()
  /** Principal ids: identity, policies and access keys are forgotten together. */
  readonly principals = new Set<string>()
  /** A policy or a group that principals share has changed. */
  everyPrincipal = false
  /** Rows with EKT records were removed: memory holds nothing of them, the disk does. */
  removedEkts = false

  /** The same as other processes are told of it; `number` is that of the transaction, when it has one. */
  told(number: number | undefined): StoreChange {
    const { keys, aliases, accessKeys, principals, everyPrincipal } = this
    return {
      ...{ number, keys: [...keys], aliases: [...aliases] },
      ...{ accessKeys: [...accessKeys], principals: [...principals], everyPrincipal },
    }
  }

  /** What {@link told} has told. */
  static of({ keys, aliases, accessKeys, principals, everyPrincipal }: StoreChange): Touched {
    const touched = new Touched()
    for (const name of keys) touched.keys.add(name)
    for (const name of aliases) touched.aliases.add(name)
    for (const id of accessKeys) touched.accessKeys.add(id)
    for (const id of principals) touched.principals.add(id)
    touched.everyPrincipal = everyPrincipal
    return touched
  }
}

/** One text for a key id or an alias name of an account in a region: none of the first two holds a slash. */
export function scopedName({ region, account }: Scope, name: string): string {
  return `${region}/${account}/${name}`
}
