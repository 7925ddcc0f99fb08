/** Hosts of a region that give their place to fresh ones: one after another, so that the others go on meanwhile. */
import type { Host } from './host.ts'
import type { Member } from './member.ts'

const REPLACE_AGAIN_MS = 60_000

/** Told how the replacement of a worn host ended; `error` where it goes on. */
export type Recycled = (member: Member, host: Host, reason: string, error?: Error) => void

export class Replacements {
  readonly #recycled: Recycled
  /** Worn hosts whose replacement is on its way. */
  readonly #worn = new WeakSet<Host>()
  #last: Promise<unknown> = Promise.resolve()

  constructor(recycled: Recycled) {
    this.#recycled = recycled
  }

  /**
   * Replaces the hosts that know an older description of the domains than the newest. Resolves with what kept hosts from being
   * replaced, by token: those go on with what they knew.
   */
  renew(members: () => readonly Member[]): Promise<string[]> {
    return this.#inTurn(async () => {
      const failed: string[] = []
      for (const member of members()) {
        await member.renew().catch((error: Error) => failed.push(`${member.label}: ${error.message}`))
      }
      return failed
    })
  }

  /** Replaces a host that has done enough; one that could not be replaced is left alone for a minute. */
  recycle(member: Member, host: Host, reason: string): void {
    if (this.#worn.has(host)) return
    this.#worn.add(host)
    this.#inTurn(() => member.replace(host)).then(
      () => this.#recycled(member, host, reason),
      (error: Error) => {
        this.#recycled(member, host, reason, error)
        setTimeout(() => this.#worn.delete(host), REPLACE_AGAIN_MS).unref()
      },
    )
  }

  #inTurn<T>(replace: () => Promise<T>): Promise<T> {
    const replaced = this.#last.then(replace)
    this.#last = replaced.catch(() => {})
    return replaced
  }
}
