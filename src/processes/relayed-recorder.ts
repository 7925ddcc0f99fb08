/**
 * Records requests of a service process in the audit log, which the first process writes: events go together as they come.
 * An event stands there, on the disk, before its answer leaves; a change tells the first process of its event before it is
 * made, so that nobody takes it for what a dead process has left behind.
 */
import { type ActFacts, actEvent, type CallFacts, callEvent } from '../audit/events.ts'
import type { PendingEvents } from '../audit/pending.ts'
import type { RequestRecorder } from '../audit/recorder.ts'
import { REFUSALS_EVENT, type UnprovenRefusals } from '../audit/refusals.ts'
import { AuditUnavailable } from '../audit/unavailable.ts'
import type { Clock } from '../base/clock.ts'
import type { FirstProcess } from './first-process.ts'

interface Batch {
  readonly events: string[]
  readonly changes: string[]
  readonly recorded: PromiseWithResolvers<void>
}

export class RelayedRecorder implements RequestRecorder {
  readonly #first: Pick<FirstProcess, 'ask' | 'auditFailure'>
  readonly #pending: PendingEvents
  readonly #clock: Clock
  readonly #refusals: UnprovenRefusals
  #batch: Batch | undefined
  #sending = false

  constructor(parts: {
    first: Pick<FirstProcess, 'ask' | 'auditFailure'>
    pending: PendingEvents
    clock: Clock
    refusals: UnprovenRefusals
  }) {
    this.#first = parts.first
    this.#pending = parts.pending
    this.#clock = parts.clock
    this.#refusals = parts.refusals
  }

  /** Throws AuditUnavailable while nothing can be recorded. */
  requireWritable(): void {
    const { auditFailure } = this.#first
    if (auditFailure !== undefined) throw new AuditUnavailable(auditFailure)
  }

  /** One that proves nothing, and is refused, may be counted instead. Rejects with AuditUnavailable. */
  call(facts: CallFacts): Promise<void> {
    const nowMs = this.#clock()
    if (this.#refusals.leavesOut(facts, nowMs)) return Promise.resolve()
    return this.#append(callEvent(facts, nowMs))
  }

  /** Records how many refusals were counted, when it is time, or `now`. Rejects with AuditUnavailable: then the next time. */
  noteRefusals(facts: Omit<ActFacts, 'name' | 'parameters'>, options: { now?: boolean } = {}): Promise<void> {
    const note = (parameters: object) => this.note({ ...facts, name: REFUSALS_EVENT, parameters })
    return this.#refusals.tell(note, this.#clock(), options)
  }

  /** Records something that happened. Rejects with AuditUnavailable. */
  note(facts: ActFacts): Promise<void> {
    return this.#append(actEvent(facts, this.#clock()))
  }

  async changing<T>(facts: () => CallFacts, work: () => Promise<T>): Promise<T> {
    const { eventId: id } = facts()
    const text = (resources: readonly string[]) =>
      callEvent({ ...facts(), resources, outcomeUnknown: true }, this.#clock())
    await this.#first.ask('hold', { id }).catch(unavailable)
    return this.#pending.during({ id, text }, work)
  }

  async changed(facts: CallFacts): Promise<void> {
    const { eventId: id } = facts
    try {
      await this.#append(callEvent(facts, this.#clock()), id)
    } finally {
      this.#pending.done(id)
      // Whoever does not hear it is gone.
      this.#first.ask('release', { id }).catch(() => {})
    }
  }

  #append(event: string, change?: string): Promise<void> {
    const batch = this.#batch ?? this.#begin()
    batch.events.push(event)
    if (change !== undefined) batch.changes.push(change)
    return batch.recorded.promise
  }

  #begin(): Batch {
    const batch: Batch = { events: [], changes: [], recorded: Promise.withResolvers() }
    this.#batch = batch
    if (!this.#sending) this.#sendSoon()
    return batch
  }

  /** The events of this turn go together. */
  #sendSoon(): void {
    this.#sending = true
    setImmediate(() => void this.#sendAll())
  }

  /** While a batch is on its way, the next one fills: a message costs more than the events in it. */
  async #sendAll(): Promise<void> {
    for (let batch = this.#take(); batch !== undefined; batch = this.#take()) {
      const { events, changes, recorded } = batch
      await this.#first.ask('record', { events, changes }).catch(unavailable).then(recorded.resolve, recorded.reject)
    }
    this.#sending = false
  }

  #take(): Batch | undefined {
    const batch = this.#batch
    this.#batch = undefined
    return batch
  }
}

function unavailable(error: Error): never {
  throw new AuditUnavailable(error.message, { cause: error })
}
