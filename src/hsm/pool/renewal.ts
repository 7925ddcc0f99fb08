/** A host whose place a fresh one takes: the fresh one is started first, and the old one drained when it is ready. */
import type { Host } from './host.ts'

export class Renewal {
  readonly old: Host
  /** As soon as it has been started. */
  fresh: Host | undefined
  /** Resolves when the fresh host serves, or none is wanted any more; rejects when it cannot start. */
  readonly done: Promise<void>
  readonly #settle: PromiseWithResolvers<void>

  constructor(old: Host) {
    this.old = old
    this.#settle = Promise.withResolvers<void>()
    this.done = this.#settle.promise
  }

  end(): void {
    this.#settle.resolve()
  }

  /** Gives the fresh host up; the old one goes on. */
  fail(error: Error): void {
    this.#settle.reject(error)
    this.fresh?.kill(error.message)
  }
}
