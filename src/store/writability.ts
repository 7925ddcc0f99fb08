/** Whether the store took what was last written to it, as its writers have seen it. */
import { StoreUnwritable } from './faults.ts'

export class Writability {
  #reason: string | undefined

  /** Why the last write failed; undefined when it did not. */
  get reason(): string | undefined {
    return this.#reason
  }

  /** Runs what writes. */
  async of<T>(write: () => Promise<T>): Promise<T> {
    try {
      const result = await write()
      this.#reason = undefined
      return result
    } catch (error) {
      if (error instanceof StoreUnwritable) this.#reason = error.reason
      throw error
    }
  }
}
