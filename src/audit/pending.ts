/**
 * Events of changes, before their outcome is known. A change commits together with its event, which the key store keeps until the
 * chain has it (security.md 4.3): whatever ends the daemon in between, the next one finds it and records it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { newChainId } from '../formats/audit-chain.ts'

/** An event that a transaction writes beside its change. */
export interface PendingEvent {
  readonly id: string
  /** JSON of the event; `keys` are the ARNs of the keys that the transaction changed. */
  text(keys: readonly string[]): string
}

export class PendingEvents {
  /** The chain of this process, which will hold them: 32 hex digits. */
  readonly chain: string
  readonly #storage = new AsyncLocalStorage<PendingEvent>()
  /** Events that this process is about to chain. */
  readonly #inHand = new Set<string>()

  constructor(chain = newChainId()) {
    this.chain = chain
  }

  /** The event of the change that is being made here; undefined for what is recorded by other means. */
  current(): PendingEvent | undefined {
    return this.#storage.getStore()
  }

  /** Runs a change: its transactions leave the event behind, which is nobody's leftover until {@link done} ends it. */
  during<T>(event: PendingEvent, work: () => Promise<T>): Promise<T> {
    this.#inHand.add(event.id)
    return this.#storage.run(event, work)
  }

  /** Whether the event is about to be chained. */
  isInHand(id: string): boolean {
    return this.#inHand.has(id)
  }

  /** The event is in the chain, or could not be put there: what the key store keeps of it is anybody's. */
  done(id: string): void {
    this.#inHand.delete(id)
  }
}
