/** What everything that has something to record speaks to: requests, tasks, operators' acts. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { type ActFacts, actEvent, type CallFacts, callEvent } from './events.ts'
import type { AuditLog } from './log.ts'
import type { PendingEvents } from './pending.ts'
import { REFUSALS_EVENT, type UnprovenRefusals } from './refusals.ts'

/** What records requests. */
export type RequestRecorder = Pick<AuditRecorder, 'requireWritable' | 'call' | 'changing' | 'changed'>

/** The part of the key store that keeps events until they are chained. */
export interface PendingStorage {
  pendingEvents(
    limit: number,
  ): Promise<readonly { readonly id: string; readonly event: string; readonly chain: string | null }[]>
}

const PENDING_BATCH = 1_000

export class AuditRecorder {
  readonly #log: AuditLog
  readonly #pending: PendingEvents
  readonly #clock: Clock
  readonly #refusals: UnprovenRefusals | undefined
  /** Events of changes that are in the log's files, and still among the key store's pending ones. */
  readonly #chained = new Set<string>()

  /** Without `refusals` every refusal has its own event. */
  constructor(parts: { log: AuditLog; pending: PendingEvents; clock: Clock; refusals?: UnprovenRefusals }) {
    this.#refusals = parts.refusals
    this.#log = parts.log
    this.#pending = parts.pending
    this.#clock = parts.clock
  }

  /** Throws AuditUnavailable while nothing can be recorded. */
  requireWritable(): void {
    this.#log.requireWritable()
  }

  /** Records a request; one that proves nothing, and is refused, may be counted instead. Rejects with AuditUnavailable. */
  call(facts: CallFacts): Promise<void> {
    const nowMs = this.#clock()
    if (this.#refusals?.leavesOut(facts, nowMs)) return Promise.resolve()
    return this.#log.append(callEvent(facts, nowMs))
  }

  /** Records how many refusals were counted, when it is time, or `now`. Rejects with AuditUnavailable: then the next time. */
  async noteRefusals(facts: Omit<ActFacts, 'name' | 'parameters'>, options: { now?: boolean } = {}): Promise<void> {
    const note = (parameters: object) => this.note({ ...facts, name: REFUSALS_EVENT, parameters })
    await this.#refusals?.tell(note, this.#clock(), options)
  }

  /** Runs what changes something for a request: its transactions leave its event behind, as it is known then. */
  changing<T>(facts: () => CallFacts, work: () => Promise<T>): Promise<T> {
    const { eventId: id } = facts()
    const text = (keys: readonly string[]) =>
      callEvent({ ...facts(), resources: keys, outcomeUnknown: true }, this.#clock())
    return this.#pending.during({ id, text }, work)
  }

  /** Records the request of a change, which {@link changing} ran. */
  async changed(facts: CallFacts): Promise<void> {
    try {
      await this.call(facts)
      this.#chained.add(facts.eventId)
    } finally {
      this.#pending.done(facts.eventId)
    }
  }

  /** Records something that happened. Rejects with AuditUnavailable. */
  note(facts: ActFacts): Promise<void> {
    return this.#log.append(actEvent(facts, this.#clock()))
  }

  /**
   * Runs a change that no request asked for, and records it, whatever comes of it; a result of false or undefined says that
   * nothing was done. Rejects as `work` does, and with AuditUnavailable.
   */
  async act<T>(facts: ActFacts, work: () => Promise<T>): Promise<T> {
    this.requireWritable()
    const eventId = randomUUID()
    const text = (resources: readonly string[]) => actEvent({ resources, ...facts, eventId }, this.#clock())
    try {
      const result = await this.#pending.during({ id: eventId, text }, work)
      if (result === false || result === undefined) return result
      await this.note({ ...facts, eventId })
      this.#chained.add(eventId)
      return result
    } catch (error) {
      const { name: code, message } = error as Error
      await this.note({ ...facts, eventId, error: { code, message } }).then(
        () => this.#chained.add(eventId),
        () => {},
      )
      throw error
    } finally {
      this.#pending.done(eventId)
    }
  }

  /**
   * Chains the events that were left: by ceremonies, by a process that ended between a change and its event, and by this one where
   * it could not record the event then. `isOurs` says so of the chain that should hold them.
   */
  async chainLeftovers(
    storage: PendingStorage,
    isOurs: (chain: string | null) => boolean = () => true,
  ): Promise<number> {
    const left = (await storage.pendingEvents(PENDING_BATCH)).filter(
      ({ id, chain }) => isOurs(chain) && !this.#pending.isInHand(id) && !this.#chained.has(id),
    )
    await Promise.all(
      left.map(async ({ id, event }) => {
        await this.#log.append(event)
        this.#chained.add(id)
      }),
    )
    return left.length
  }

  /** Events that the key store need not keep as pending; {@link settled} says that it no longer does. */
  chained(): string[] {
    return [...this.#chained]
  }

  settled(ids: readonly string[]): void {
    for (const id of ids) this.#chained.delete(id)
  }
}
