/**
 * When access keys were used last: noted in memory with every request, and written down now and then in one transaction,
 * so that no request waits for it. What is not yet written is lost when the process is killed.
 */
import type { AccessKeyUse } from '../model/identity.ts'
import type { Store } from '../store/store.ts'

/** Beyond as many access keys in one interval, uses of further ones are not noted. */
const NOTED_MAX = 100_000

interface Note {
  readonly accessKeyId: string
  atMs: number
  region: string
  service: string
}

export class AccessKeyUses {
  readonly #store: Store
  readonly #notes = new Map<string, Note>()

  constructor(store: Store) {
    this.#store = store
  }

  /** Only of requests whose signature was right. */
  note(accessKeyId: string, atMs: number, region: string, service: string): void {
    const note = this.#notes.get(accessKeyId)
    if (note !== undefined) {
      note.atMs = atMs
      note.region = region
      note.service = service
    } else if (this.#notes.size < NOTED_MAX) this.#notes.set(accessKeyId, { accessKeyId, atMs, region, service })
  }

  /** Writes down what was noted. Uses that could not be written are noted again, unless there is a newer one. */
  async write(): Promise<void> {
    if (this.#notes.size === 0) return
    const uses: AccessKeyUse[] = [...this.#notes.values()]
    this.#notes.clear()
    try {
      await this.#store.transaction(async tx => {
        for (const use of uses) await tx.putAccessKeyUse(use)
      })
    } catch (error) {
      for (const use of uses) if (!this.#notes.has(use.accessKeyId)) this.#notes.set(use.accessKeyId, { ...use })
      throw error
    }
  }
}
