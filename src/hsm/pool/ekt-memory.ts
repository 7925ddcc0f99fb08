/** Which EKTs a lane has been sent, so that a hot command carries 32 bytes instead of the record. A wrong guess costs one more trip. */
import { LRUCache } from 'lru-cache'

export class EktMemory {
  readonly #digests: LRUCache<string, true>

  constructor(max: number) {
    this.#digests = new LRUCache({ max })
  }

  /** Notes that the lane is about to hold this EKT; true when it was sent before. */
  add(digest: Buffer): boolean {
    const key = digest.toString('latin1')
    if (this.#digests.get(key) === true) return true
    this.#digests.set(key, true)
    return false
  }

  has(digest: Buffer): boolean {
    return this.#digests.has(digest.toString('latin1'))
  }

  clear(): void {
    this.#digests.clear()
  }
}
