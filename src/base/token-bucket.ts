const MS_PER_SECOND = 1_000

/**
 * What may be asked at a rate: it fills with time, holds one second's worth (one request at least), and starts full. Times
 * are those of one clock that never goes back, in milliseconds.
 */
export class TokenBucket {
  readonly #perMs: number
  readonly #capacity: number
  #tokens: number
  #filledAtMs: number

  constructor(perSecond: number, nowMs: number) {
    this.#perMs = perSecond / MS_PER_SECOND
    this.#capacity = Math.max(1, perSecond)
    this.#tokens = this.#capacity
    this.#filledAtMs = nowMs
  }

  /** Whether one more request may come now. */
  hasRoom(nowMs: number): boolean {
    this.#tokens = Math.min(this.#capacity, this.#tokens + (nowMs - this.#filledAtMs) * this.#perMs)
    this.#filledAtMs = nowMs
    return this.#tokens >= 1
  }

  /** Counts one request. */
  take(): void {
    this.#tokens -= 1
  }
}
