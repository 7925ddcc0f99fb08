/**
 * When another host of a token may be started: not with a PIN that the token has refused, and later and later after hosts
 * that were lost while others serve. A token that no host serves has the back-off of its circuit.
 */

const PAUSE_FIRST_MS = 500
const PAUSE_MAX_MS = 30_000

export class HostStarts {
  #refusal: string | undefined
  #notBeforeMs = 0
  #pauseMs = PAUSE_FIRST_MS

  /** Why the PIN is not tried; undefined when it may be. */
  get refusal(): string | undefined {
    return this.#refusal
  }

  mayStart(nowMs: number): boolean {
    return this.#refusal === undefined && nowMs >= this.#notBeforeMs
  }

  /** The token has refused the PIN: one more try may be the one that locks it. */
  refuse(reason: string): void {
    this.#refusal = reason
  }

  /** An operator says that the PIN may be tried again. False when nothing keeps it from being tried. */
  allow(): boolean {
    if (this.#refusal === undefined) return false
    this.#refusal = undefined
    this.#notBeforeMs = 0
    return true
  }

  hasten(): void {
    this.#notBeforeMs = 0
  }

  delay(nowMs: number): void {
    this.#notBeforeMs = nowMs + this.#pauseMs
    this.#pauseMs = Math.min(PAUSE_MAX_MS, this.#pauseMs * 2)
  }

  /** A host has become ready. */
  succeeded(): void {
    this.#pauseMs = PAUSE_FIRST_MS
  }
}
