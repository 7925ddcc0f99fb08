/** A command on its way through the pool: what is asked, who waits for it, and what has befallen it so far. */
import type { TraceContext } from '../../telemetry/tracing.ts'
import { type Args, type CommandName, commands, deadlineMs, type Result } from '../contract/commands.ts'
import type { EktReference } from '../contract/fields.ts'
import { holdersOf } from './holders.ts'

interface ErrandOptions {
  readonly serials?: readonly string[] | undefined
  readonly pinned?: boolean
  readonly trace?: TraceContext | undefined
  /** Told once what has come of it: the error, when it was refused. */
  readonly onSettled?: (error?: Error) => void
}

export class Errand {
  readonly name: CommandName
  readonly args: Args<CommandName>
  /** Serials of the only tokens that can serve it; undefined when all of the region can. */
  readonly serials: readonly string[] | undefined
  /** It is for one lane and for no other: a known-answer command, or an eviction. */
  readonly pinned: boolean
  /** Of the request that it is done for, if that is traced. */
  readonly trace: TraceContext | undefined
  readonly startedAtMs: number
  /** How long a host may work on it. */
  readonly deadlineMs: number
  /** Hosts that ended while they worked on it: at the second it may be their cause. */
  deaths = 0
  /** Faults of tokens that it met. */
  faults = 0
  /** Times that it was taken away from a lane that did not get to it. */
  recalls = 0
  /** Tokens that knew too old a description of the domain for it, when there was none newer. */
  strangers = 0
  /** The last fault of a token that it met, and the token's label. */
  lastFault: { readonly label: string; readonly reason: string } | undefined
  /** The oldest description of the domain that a host may have to serve it. */
  generation = 0
  readonly #outcome = Promise.withResolvers<Result<CommandName>>()
  readonly #onSettled: ErrandOptions['onSettled']
  #settled = false

  /** `serials` as in {@link serials}, those that hold its HBKs when absent; `pinned` as in {@link pinned}. */
  constructor(
    name: CommandName,
    args: Args<CommandName>,
    { serials, pinned = false, trace, onSettled }: ErrandOptions = {},
  ) {
    this.name = name
    this.args = args
    this.serials = serials ?? holdersOf(args)
    this.pinned = pinned
    this.trace = trace
    this.startedAtMs = performance.now()
    this.deadlineMs = deadlineMs(name, args)
    this.#onSettled = onSettled
  }

  /** What comes of it, for whoever asked. */
  get result(): Promise<Result<CommandName>> {
    return this.#outcome.promise
  }

  /** The EKT that it works with; the one it seals under, where there are two. */
  get ekt(): EktReference | undefined {
    const { ekt, destination } = this.args as { ekt?: EktReference; destination?: EktReference }
    return ekt ?? destination
  }

  /** It may leave something behind in a token, and is sent to none a second time. */
  get once(): boolean {
    return commands[this.name].once
  }

  get settled(): boolean {
    return this.#settled
  }

  /** The first answer counts; a second one, from a lane that it was taken away from, is dropped. */
  resolve(result: Result<CommandName>): void {
    if (this.#settled) return
    this.#settled = true
    this.#onSettled?.()
    this.#outcome.resolve(result)
  }

  reject(error: Error): void {
    if (this.#settled) return
    this.#settled = true
    this.#onSettled?.(error)
    this.#outcome.reject(error)
  }
}
