/** One place for a service process: the process that has it now, and when the next may start when that one ends. */
import cluster, { type Worker } from 'node:cluster'
import { fileURLToPath } from 'node:url'
import type { Logger } from '../telemetry/logger.ts'
import { Channel, ChannelFailed, type Handlers } from './channel.ts'
import type { AskedOfFirst, AskedOfService } from './messages.ts'

export const SERVICE_ENTRY = fileURLToPath(new URL('../service.ts', import.meta.url))

/** What is done for a process that asks: all but what its place knows by itself. */
export type Desk = Handlers<Omit<AskedOfFirst, 'serving' | 'failed'>>

export interface ServiceProcessEvents {
  /** What answers this process, and no other. */
  desk(process: ServiceProcess): Desk
  serving(process: ServiceProcess, endpoint: string): void
  /** It is no more, and why: what it held is free. */
  ended(process: ServiceProcess, reason: string): void
}

const TICK_MS = 100
/** Ticks, and not time: when all of the daemon was stopped, nobody is late. */
const ANSWER_TICKS = 100
const PAUSE_FIRST_MS = 100
const PAUSE_MAX_MS = 10_000
/** Whoever served for so long starts the next time at once. */
const SOUND_MS = 10_000

export class ServiceProcess {
  /** From 1. */
  readonly number: number
  restarts = 0
  readonly #events: ServiceProcessEvents
  readonly #logger: Logger
  #worker: Worker | undefined
  #channel: Channel<AskedOfService, AskedOfFirst> | undefined
  #servesSinceMs: number | undefined
  /** Whether it has said hello: from then on it is told of changes. */
  #greeted = false
  /** Why it ends, as it said itself. */
  #failure: string | undefined
  #pauseMs = PAUSE_FIRST_MS
  #timer: NodeJS.Timeout | undefined
  #stopping = false
  #gone: Promise<void> = Promise.resolve()

  constructor(number: number, events: ServiceProcessEvents, logger: Logger) {
    this.number = number
    this.#events = events
    this.#logger = logger
  }

  get pid(): number | undefined {
    return this.#worker?.process.pid
  }

  /** Whether it takes connections. */
  get serves(): boolean {
    return this.#servesSinceMs !== undefined
  }

  start(): void {
    const worker = cluster.fork()
    const channel = new Channel<AskedOfService, AskedOfFirst>(worker, {
      ...this.#events.desk(this),
      hello: ask => {
        this.#greeted = true
        return this.#events.desk(this).hello(ask)
      },
      failed: ({ reason }) => {
        this.#failure = reason
      },
      serving: ({ endpoint }) => {
        this.#servesSinceMs = performance.now()
        this.#events.serving(this, endpoint)
      },
    })
    this.#worker = worker
    this.#channel = channel
    const over = Promise.withResolvers<void>()
    this.#gone = over.promise
    worker.on('error', error => {
      // A process that could not be started has no exit; one that cannot be reached must not go on.
      if (worker.process.pid === undefined) this.#ended(channel, error.message, over.resolve)
      else worker.process.kill('SIGKILL')
    })
    worker.once('exit', (code, signal) => this.#ended(channel, signal || `code ${code}`, over.resolve))
  }

  /**
   * Has it do something that must not be left undone while it answers requests: when it does not do so in time, or cannot, it
   * is killed. Resolves with its answer, or undefined when it is gone.
   */
  async tell<N extends keyof AskedOfService>(
    name: N,
    body: AskedOfService[N]['ask'],
  ): Promise<AskedOfService[N]['answer'] | undefined> {
    if (!this.#greeted) return undefined
    const worker = this.#worker
    const gone = this.#gone
    try {
      return await this.#askInTime(name, body)
    } catch (error) {
      if (this.#worker !== worker) return undefined
      const { message } = error as Error
      this.#logger.error('service process is killed', { process: this.number, asked: name, reason: message })
      worker?.process.kill('SIGKILL')
      await gone
      return undefined
    }
  }

  /** Asks it something that may be left unanswered: undefined then. */
  async inquire<N extends keyof AskedOfService>(
    name: N,
    body: AskedOfService[N]['ask'],
  ): Promise<AskedOfService[N]['answer'] | undefined> {
    return this.serves ? this.#askInTime(name, body).catch(() => undefined) : undefined
  }

  /** Asks it, however long it takes. Rejects with ChannelFailed when it ends before it answers. */
  ask<N extends keyof AskedOfService>(name: N, body: AskedOfService[N]['ask']): Promise<AskedOfService[N]['answer']> {
    if (this.#channel === undefined) return Promise.reject(new Error(`service process ${this.number} is not running`))
    return this.#channel.ask(name, body)
  }

  /** Has it finish what it has. Resolves when it is gone, by `patienceMs` at the latest. */
  async stop(patienceMs: number): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#timer)
    const impatience = setTimeout(() => this.#worker?.process.kill('SIGKILL'), patienceMs)
    // What is still starting has nothing to finish.
    if (!this.#greeted) this.#worker?.process.kill('SIGKILL')
    else this.ask('drain', null).catch(() => {})
    await this.#gone
    clearTimeout(impatience)
  }

  async #askInTime<N extends keyof AskedOfService>(
    name: N,
    body: AskedOfService[N]['ask'],
  ): Promise<AskedOfService[N]['answer']> {
    const late = Promise.withResolvers<never>()
    let ticks = 0
    const timer = setInterval(() => {
      ticks += 1
      if (ticks >= ANSWER_TICKS) late.reject(new ChannelFailed('no answer in time'))
    }, TICK_MS)
    try {
      return await Promise.race([this.ask(name, body), late.promise])
    } finally {
      clearInterval(timer)
    }
  }

  #ended(channel: Channel<AskedOfService, AskedOfFirst>, how: string, over: () => void): void {
    if (this.#channel !== channel) return
    channel.close(`service process ${this.number} ended (${how})`)
    const reason = this.#failure ?? how
    this.#failure = undefined
    const { pid } = this
    const served = this.#servesSinceMs === undefined ? 0 : performance.now() - this.#servesSinceMs
    this.#worker = undefined
    this.#channel = undefined
    this.#servesSinceMs = undefined
    this.#greeted = false
    this.#events.ended(this, reason)
    over()
    if (this.#stopping) return
    if (served >= SOUND_MS) this.#pauseMs = PAUSE_FIRST_MS
    this.#logger.error('service process ended', { process: this.number, pid, reason, againInMs: this.#pauseMs })
    this.#timer = setTimeout(() => {
      this.restarts += 1
      this.start()
    }, this.#pauseMs)
    this.#pauseMs = Math.min(PAUSE_MAX_MS, this.#pauseMs * 2)
  }
}
