/**
 * How old the view of the store may be that memory answers from: what others have committed since is not in it. Beyond
 * {@link VIEW_MAX_AGE_MS} nothing is answered from it (design.md 5).
 */
import { StoreStale } from './faults.ts'

/** A daemon whose view is older stops answering. */
export const VIEW_MAX_AGE_MS = 5_000
/** After a look that failed, requests are refused for so long without one of their own: each may wait for the disk. */
const LOOK_AGAIN_MS = 100

/** What the store asks about its view, by those who look whether others have committed. */
export interface ViewKeeper {
  /** Memory held nothing at this moment, on the monotonic clock, that others had changed. */
  confirmed(atMs: number): void
  /** It cannot be known whether others have committed. */
  failed(error: unknown): void
}

export interface ViewParts {
  /**
   * Looks now, at the cost of what memory holds if need be, and tells the keeper what came of it. Does not throw.
   */
  readonly look: () => void
  /** Called with the reason when the view becomes too old and stays so, and with undefined when it is current again. */
  readonly onStale?: ((reason: string | undefined) => void) | undefined
  readonly maxAgeMs?: number | undefined
}

export class View implements ViewKeeper {
  readonly #parts: ViewParts
  readonly #maxAgeMs: number
  #currentAtMs = performance.now()
  #failure: { readonly error: unknown; readonly atMs: number } | undefined
  #told = false

  /** Of a store that was opened at this moment: memory holds nothing yet. */
  constructor(parts: ViewParts) {
    this.#parts = parts
    this.#maxAgeMs = parts.maxAgeMs ?? VIEW_MAX_AGE_MS
  }

  /** Time since the view was last known to be current, in milliseconds. */
  get ageMs(): number {
    return performance.now() - this.#currentAtMs
  }

  /**
   * Throws StoreStale when the view is too old and a look of its own does not renew it. A process that was held up looks once,
   * and goes on.
   */
  requireCurrent(): void {
    if (this.ageMs > this.#maxAgeMs) this.#renew()
  }

  /** Why nothing is answered; undefined when it is. */
  get obstacle(): string | undefined {
    try {
      this.requireCurrent()
      return undefined
    } catch (error) {
      return (error as StoreStale).message
    }
  }

  confirmed(atMs: number): void {
    this.#currentAtMs = Math.max(this.#currentAtMs, atMs)
    this.#failure = undefined
    if (!this.#told) return
    this.#told = false
    this.#parts.onStale?.(undefined)
  }

  failed(error: unknown): void {
    this.#failure = { error, atMs: performance.now() }
    if (this.#told || this.ageMs <= this.#maxAgeMs) return
    this.#told = true
    this.#parts.onStale?.(reasonOf(error))
  }

  #renew(): void {
    const rests = this.#failure !== undefined && performance.now() - this.#failure.atMs < LOOK_AGAIN_MS
    if (!rests) this.#parts.look()
    if (this.#failure !== undefined) throw new StoreStale(reasonOf(this.#failure.error), { cause: this.#failure.error })
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
