/** The commands of a region that no lane has room for, the oldest first. The pool bounds their number. */
import type { Errand } from './errand.ts'

/** `full`: no lane takes anything now. `not-this`: others may be taken all the same. */
export type Sent = 'sent' | 'full' | 'not-this'

export class Waiting {
  #errands: Errand[] = []

  get size(): number {
    return this.#errands.length
  }

  add(errand: Errand): void {
    this.#errands.push(errand)
  }

  /** Offers the commands in their order, until no lane takes any. */
  drain(send: (errand: Errand) => Sent): void {
    const kept: Errand[] = []
    let at = 0
    for (; at < this.#errands.length; at += 1) {
      const errand = this.#errands[at] as Errand
      const sent = send(errand)
      if (sent === 'full') break
      if (sent === 'not-this') kept.push(errand)
    }
    if (at > 0) this.#errands = [...kept, ...this.#errands.slice(at)]
  }

  /** Takes out those that have waited for too long. */
  take(which: (errand: Errand) => boolean): Errand[] {
    const taken = this.#errands.filter(which)
    if (taken.length > 0) this.#errands = this.#errands.filter(errand => !taken.includes(errand))
    return taken
  }
}
