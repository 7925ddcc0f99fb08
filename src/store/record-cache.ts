/** A bounded memory of records by name. A record that was read before a change is never kept after it. */
import { LRUCache } from 'lru-cache'

/** Passed to each look-up: the library makes an object for each that has no options. */
const NO_OPTIONS = {}

export class RecordCache<V extends object> {
  readonly #records: LRUCache<string, V>
  /** Reads under way: whoever asks for the same name meanwhile shares the answer. */
  readonly #reads = new Map<string, Promise<V | undefined>>()
  /** Grows whenever records are forgotten, so that a read knows whether one happened while it was under way. */
  #epoch = 0
  #hits = 0

  /** `weigh` says how many places a record takes, when not each takes one. */
  constructor(capacity: number, weigh?: (record: V) => number) {
    this.#records = new LRUCache(
      weigh === undefined ? { max: capacity } : { max: capacity, maxSize: capacity, sizeCalculation: weigh },
    )
  }

  get size(): number {
    return this.#records.size
  }

  /** How often {@link held} had the record. */
  get hits(): number {
    return this.#hits
  }

  /** The record in memory. */
  held(name: string): V | undefined {
    const record = this.#records.get(name, NO_OPTIONS)
    if (record !== undefined) this.#hits += 1
    return record
  }

  /** The record as `read` finds it, which is then held. That there is none is not remembered. */
  load(name: string, read: () => Promise<V | undefined>): Promise<V | undefined> {
    const underWay = this.#reads.get(name)
    if (underWay !== undefined) return underWay
    const reading = this.#read(name, read).finally(() => {
      if (this.#reads.get(name) === reading) this.#reads.delete(name)
    })
    this.#reads.set(name, reading)
    return reading
  }

  forget(names: Iterable<string>): void {
    this.#forgetReads()
    for (const name of names) this.#records.delete(name)
  }

  forgetWhere(matches: (record: V) => boolean): void {
    this.#forgetReads()
    for (const [name, record] of [...this.#records.entries()]) {
      if (matches(record)) this.#records.delete(name)
    }
  }

  forgetAll(): void {
    this.#forgetReads()
    this.#records.clear()
  }

  async #read(name: string, read: () => Promise<V | undefined>): Promise<V | undefined> {
    const epoch = this.#epoch
    const record = await read()
    if (record !== undefined && epoch === this.#epoch) this.#records.set(name, record)
    return record
  }

  /** Who asks from now on must not share the answer of a read that began before the change. */
  #forgetReads(): void {
    this.#epoch++
    this.#reads.clear()
  }
}
