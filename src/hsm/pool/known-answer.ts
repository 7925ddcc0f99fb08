/**
 * The known-answer command of a token (host/canary.ts): when it is sent, and to which lane of which host. One at a time, to
 * one lane after another, and never more than once a second. A lane whose token failed it is asked once more: what passes is
 * left to the error rate, as for any command.
 */
import type { Result } from '../contract/commands.ts'
import { HsmFault, STALE_DOMAIN } from '../contract/fault.ts'
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
  /** The token failed for the first time: it may pass. */
  readonly doubted: (host: Host, fault: HsmFault) => void
  readonly missed: (host: Host, error: Error) => Promise<void>
}

interface Asked {
  readonly host: Host
  readonly lane: Lane
}

export class KnownAnswer {
  readonly #parts: KnownAnswerParts
  #turn = 0
  #dueAtMs = 0
  #sentAtMs = Number.NEGATIVE_INFINITY
  #out = false
  #doubted: Asked | undefined

  constructor(parts: KnownAnswerParts) {
    this.#parts = parts
  }

  /** Sends the command if it is due, and there is a host to send it to. */
  sendIfDue(nowMs: number): void {
    const { intervalMs, probing, ask } = this.#parts
    if (this.#out || nowMs < this.#dueAtMs) return
    const next = this.#next()
    if (next === undefined) return
    this.#dueAtMs = nowMs + (probing() ? PAUSE_LEAST_MS : intervalMs)
    this.#sentAtMs = nowMs
    this.#out = true
    ask(next.lane)
      .then(
        status => this.#given(next, status),
        (error: Error) => this.#failed(next, error),
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

  #next(): Asked | undefined {
    const hosts = this.#parts.hosts()
    if (this.#doubted !== undefined && hosts.includes(this.#doubted.host)) return this.#doubted
    this.#doubted = undefined
    const lanes = hosts.flatMap(host => host.lanes.map(lane => ({ host, lane })))
    const next = lanes[this.#turn % Math.max(1, lanes.length)]
    this.#turn += 1
    return next
  }

  #given({ host, lane }: Asked, status: Result<'status'>): void {
    this.#doubted = undefined
    this.#parts.given(host, lane, status)
  }

  #failed(asked: Asked, error: Error): Promise<void> | undefined {
    const doubted = this.#doubted === undefined && mayPass(error)
    this.#doubted = doubted ? asked : undefined
    if (!doubted) return this.#parts.missed(asked.host, error)
    this.hasten()
    this.#parts.doubted(asked.host, error)
    return undefined
  }
}

/** A code that the token answered, and no wrong answer. */
function mayPass(error: Error): error is HsmFault {
  if (!(error instanceof HsmFault) || error.reason === STALE_DOMAIN) return false
  return error.kind === 'token' || error.kind === 'session'
}
