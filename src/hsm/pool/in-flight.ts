/**
 * The commands that a lane has been sent and has not answered, by their ids, the oldest first.
 *
 * Not a Map, on purpose: V8 links each table of a Map that was outgrown to the one that came after it, with the entries of
 * its time, so once such a table has grown old, all later entries live until the next full collection, and with them
 * everything of the request that a command is done for.
 */
import type { Errand } from './errand.ts'

const PLACES_FIRST = 64

export class InFlight {
  /** By the low bits of the id. Their number is a power of two, and no less than ids from the oldest to the newest. */
  #places: (Errand | undefined)[] = places(PLACES_FIRST)
  #oldest: number
  #next: number
  #size = 0

  /** Ids are of 32 bits: they start at `firstId`, and after the last one again. */
  constructor(firstId = 1) {
    this.#oldest = firstId
    this.#next = firstId
  }

  get size(): number {
    return this.#size
  }

  get oldest(): Errand | undefined {
    return this.#places[this.#placeOf(this.#oldest)]
  }

  /** The id that the command goes by from now on. */
  add(errand: Errand): number {
    // 0 is the id of what is no answer: its place stays empty.
    if (this.#next === 0) this.#advance()
    if (this.#size === 0) this.#oldest = this.#next
    const id = this.#advance()
    this.#places[this.#placeOf(id)] = errand
    this.#size += 1
    return id
  }

  /** Takes a command out; undefined when none goes by this id. */
  take(id: number): Errand | undefined {
    if ((id - this.#oldest) >>> 0 >= this.#span) return undefined
    const place = this.#placeOf(id)
    const errand = this.#places[place]
    if (errand === undefined) return undefined
    this.#places[place] = undefined
    this.#size -= 1
    while (this.#span > 0 && this.oldest === undefined) this.#oldest = (this.#oldest + 1) >>> 0
    return errand
  }

  *[Symbol.iterator](): Generator<readonly [id: number, errand: Errand]> {
    for (let id = this.#oldest; id !== this.#next; id = (id + 1) >>> 0) {
      const errand = this.#places[this.#placeOf(id)]
      if (errand !== undefined) yield [id, errand]
    }
  }

  clear(): void {
    this.#places.fill(undefined)
    this.#oldest = this.#next
    this.#size = 0
  }

  get #span(): number {
    return (this.#next - this.#oldest) >>> 0
  }

  #placeOf(id: number): number {
    return id & (this.#places.length - 1)
  }

  /** Gives out an id, with a place for it. */
  #advance(): number {
    if (this.#span === this.#places.length) this.#grow()
    const id = this.#next
    this.#next = (id + 1) >>> 0
    return id
  }

  #grow(): void {
    const held = [...this]
    this.#places = places(this.#places.length * 2)
    for (const [id, errand] of held) this.#places[this.#placeOf(id)] = errand
  }
}

function places(length: number): (Errand | undefined)[] {
  return Array.from({ length }, () => undefined)
}
