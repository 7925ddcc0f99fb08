/**
 * The known-answer command of a token (host/canary.ts): when it is sent, and to which lane of which host. One at a time, to
 * one lane after another, and never more than once a second.
 */
import type { Result } from '../contract/commands.ts'
import type { Host } from './host.ts'
import type { Lane } from './lane.ts'

const PAUSE_LEAST_MS = 1_000

interface KnownAnswerParts {
  readonly intervalMs: number
  /** Those of which one is asked next. */
  readonly hosts: () => readonly Host[]
  /** A token that is tried out is asked as often as may be. */
  readonly probing: () => boolean
  readonly ask: (lane: Lane) => Promise<Result<'status'>>
  readonly given: (host: Host, lane: Lane, status: Result<'status'>) => void
  readonly missed: (host: Host, error: Error) => Promise<void>
}

export class KnownAnswer {
  readonly #parts: KnownAnswerParts
  #turn = 0
  #dueAtMs = 0
  #sentAtMs = Number.NEGATIVE_INFINITY
  #out = false

  constructor(parts: KnownAnswerParts) {
    this.#parts = parts
  }

  /** Sends the command if it is due, and there is a host to send it to. */
  sendIfDue(nowMs: number): void {
    const { intervalMs, hosts, probing, ask, given, missed } = this.#parts
    if (this.#out || nowMs < this.#dueAtMs) return
    const lanes = hosts().flatMap(host => host.lanes.map(lane => ({ host, lane })))
    const next = lanes[this.#turn % Math.max(1, lanes.length)]
    if (next === undefined) return
    this.#turn += 1
    this.#dueAtMs = nowMs + (probing() ? PAUSE_LEAST_MS : intervalMs)
    this.#sentAtMs = nowMs
    this.#out = true
    ask(next.lane)
      .then(
        status => given(next.host, next.lane, status),
        (error: Error) => missed(next.host, error),
      )
      .finally(() => {
        this.#out = false
      })
  }

  /** Has it sent before its time, and yet not more than once a second. */
  hasten(): void {
    this.#dueAtMs = Math.min(this.#dueAtMs, this.#sentAtMs + PAUSE_LEAST_MS)
  }

  /** Has it sent at this moment, however short ago the last one was: of a host that was just started. */
  askNow(nowMs: number): void {
    this.#dueAtMs = nowMs
    this.sendIfDue(nowMs)
  }
}
