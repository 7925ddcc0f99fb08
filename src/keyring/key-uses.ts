/**
 * When keys were used last: noted in memory with every cryptographic operation that succeeds, and written down now and then
 * in batches, so that no request waits for it. What is not yet written is lost when the process is killed.
 */
import { setImmediate } from 'node:timers/promises'
import { DAY_MS } from '../base/clock.ts'
import type { KmsKey } from '../model/key.ts'
import type { KeyUse, UsingOperation, UsingRequest } from '../model/key-use.ts'
import type { Store } from '../store/store.ts'

/** So many keys are remembered between two writes; the one beyond has them written early. */
const NOTED_MAX = 100_000
/** Of one transaction, which stops everything else for a moment. */
const BATCH_MAX = 250

type Note = { -readonly [Member in keyof KeyUse]: KeyUse[Member] }
/** By the key's ARN. */
type Notes = Map<string, Note>

export class KeyUses {
  readonly #store: Store
  readonly #notedMax: number
  #notes: Notes = new Map()
  /** What a run is writing: no longer noted and not yet stored. */
  #writing: Notes = new Map()
  #runs: Promise<void> = Promise.resolve()

  constructor(store: Store, notedMax = NOTED_MAX) {
    this.#store = store
    this.#notedMax = notedMax
  }

  /** Only of operations that succeeded, and in the order of their ends. */
  note(key: KmsKey, operation: UsingOperation, atMs: number, { requestId, eventId }: Required<UsingRequest>): void {
    const { arn, region, account, id: keyId } = key
    const note = this.#notes.get(arn)
    if (note !== undefined) {
      note.operation = operation
      note.atMs = atMs
      note.requestId = requestId
      note.eventId = eventId
      return
    }
    if (this.#notes.size >= this.#notedMax) {
      // Full twice: the store does not take what is being written, and the task that writes says so.
      if (this.#writing.size > 0) return
      this.write().catch(() => {})
    }
    this.#notes.set(arn, { region, account, keyId, operation, atMs, requestId, eventId })
  }

  /** The newest use that this daemon knows of; of other daemons' uses, those that are stored. */
  async last(key: KmsKey): Promise<KeyUse | undefined> {
    const noted = this.#notes.get(key.arn) ?? this.#writing.get(key.arn)
    const stored = await this.#store.reader.findKeyUse(key, key.id)
    return noted !== undefined && (stored === undefined || stored.atMs <= noted.atMs) ? { ...noted } : stored
  }

  /**
   * Whole days since the last use; of a key that was never used, since uses are tracked and it is there: what is not known is
   * no disuse.
   */
  async daysWithoutUse(key: KmsKey, nowMs: number): Promise<number> {
    const use = await this.last(key)
    const sinceMs = use?.atMs ?? Math.max(await this.#store.reader.findTrackingStart(), key.createdAtMs)
    return Math.max(0, Math.floor((nowMs - sinceMs) / DAY_MS))
  }

  /** Writes down all that is noted. What could not be written is noted again, unless there is something newer. */
  write(): Promise<void> {
    this.#begin()
    const run = this.#runs.then(() => this.#writeAll())
    this.#runs = run.catch(() => {})
    return run
  }

  /** Moves what is noted to what is being written, unless a run is at that: it ends with what is noted by then. */
  #begin(): void {
    if (this.#writing.size > 0) return
    this.#writing = this.#notes
    this.#notes = new Map()
  }

  async #writeAll(): Promise<void> {
    this.#begin()
    try {
      while (this.#writing.size > 0) {
        const batch = [...this.#writing.entries().take(BATCH_MAX)]
        await this.#store.transaction(tx => tx.putKeyUses(batch.map(([, use]) => use)))
        for (const [arn] of batch) this.#writing.delete(arn)
        await setImmediate()
      }
    } catch (error) {
      for (const [arn, use] of this.#writing) if (!this.#notes.has(arn)) this.#notes.set(arn, use)
      this.#writing = new Map()
      throw error
    }
  }
}
