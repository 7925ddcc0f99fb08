/**
 * The processes that take connections and do the work of requests, as the first process of the daemon sees them. It starts
 * them, keeps the listening socket and hands each new connection to the next of them (node:cluster), tells all of them what
 * one has changed, and keeps what there is one of: the audit log, the rates of requests, the turns to open a token.
 */
import cluster from 'node:cluster'
import type { HsmStatus } from '../admin/health.ts'
import type { MetricValues } from '../admin/scrape.ts'
import type { Configuration } from '../config/schema.ts'
import type { PoolSiblings } from '../hsm/pool/pool.ts'
import type { StoreChange, StoreSiblings } from '../store/store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { AskedOfService, Eviction } from './messages.ts'
import { type Desk, SERVICE_ENTRY, ServiceProcess } from './service-process.ts'
import { TokenTurns } from './token-turns.ts'

/** What the first process does for the others. */
export interface FirstDesk extends Pick<Desk, 'record' | 'settle' | 'count'> {
  hold(id: string): void
  release(id: string): void
  /** Forgets what another process has changed. */
  heed(change: StoreChange): void
  evict(eviction: Eviction): Promise<void>
  /** Why nothing can be recorded now; undefined when it can. */
  auditFailure(): string | undefined
}

/** The processes once they take connections; disposing of it has them finish what they have. */
export interface Serving extends AsyncDisposable {
  readonly endpoint: string
  /** Those of the first process: it has none. */
  connections(): Promise<number>
  /** Has each of them read the files of the certificate again; absent where plain HTTP is served. */
  readonly reloadCertificate?: () => void
}

const AUDIT_LOOK_MS = 100
/** Longer than a process takes to drain its connections and its hosts. */
const STOP_MS = 25_000

export class ServiceProcesses {
  readonly #processes: readonly ServiceProcess[]
  readonly #configuration: Configuration
  readonly #logger: Logger
  readonly #turns = new TokenTurns()
  /** Changes whose events a process will record itself, by process. */
  readonly #held = new Map<ServiceProcess, Set<string>>()
  #desk: FirstDesk | undefined
  #endpoint: string | undefined
  #listen: { readonly host: string; readonly port: number }
  #served = Promise.withResolvers<string>()
  #auditFailure: string | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(count: number, configuration: Configuration, logger: Logger) {
    this.#configuration = configuration
    this.#logger = logger
    this.#listen = { host: configuration.listen.host, port: configuration.listen.port }
    const events = {
      desk: (process: ServiceProcess) => this.#deskOf(process),
      serving: (process: ServiceProcess, endpoint: string) => this.#serving(process, endpoint),
      ended: (process: ServiceProcess, reason: string) => this.#ended(process, reason),
    }
    this.#processes = Array.from({ length: count }, (_, at) => new ServiceProcess(at + 1, events, logger))
  }

  /** What the first process' own store tells of its changes. */
  get ofStore(): StoreSiblings {
    return { changed: change => this.#forget(change) }
  }

  /** What the first process' own pools tell. */
  get ofPools(): PoolSiblings {
    return { turns: this.#turns.of(this), evict: (region, digest) => this.#tellAll('evict', { region, digest }) }
  }

  /** Processes that take connections. */
  get serving(): number {
    return this.#processes.filter(({ serves }) => serves).length
  }

  get pids(): number[] {
    return this.#processes.flatMap(({ pid }) => pid ?? [])
  }

  /** Times that a process was started in the place of one that ended. */
  get restarts(): number {
    return this.#processes.reduce((sum, { restarts }) => sum + restarts, 0)
  }

  /** What is in the way of serving. */
  get obstacles(): string[] {
    return this.serving > 0 ? [] : ['no service process takes connections']
  }

  /** Starts all of them. Resolves when one of them takes connections; rejects when one cannot. */
  async start(desk: FirstDesk): Promise<Serving> {
    this.#desk = desk
    cluster.setupPrimary({ exec: SERVICE_ENTRY, args: [], serialization: 'advanced' })
    cluster.schedulingPolicy = cluster.SCHED_RR
    for (const process of this.#processes) process.start()
    this.#timer = setInterval(() => this.#tellOfAudit(), AUDIT_LOOK_MS).unref()
    try {
      const endpoint = await this.#served.promise
      const plain = this.#configuration.listen.tls.keyFile === ''
      return {
        endpoint,
        connections: async () => 0,
        ...(plain ? {} : { reloadCertificate: () => void this.#tellAll('reloadCertificate', null) }),
        [Symbol.asyncDispose]: () => this.stop(),
      }
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** Resolves when each can serve every region, with the processes of their hosts. Rejects when one cannot in time. */
  async whenReady(timeoutMs: number): Promise<readonly number[]> {
    const until = performance.now() + timeoutMs
    while (this.serving < this.#processes.length && performance.now() < until)
      await new Promise(resolve => setTimeout(resolve, 20))
    const answers = await Promise.all(this.#processes.map(process => process.ask('whenReady', { timeoutMs })))
    return answers.flatMap(({ hostPids }) => hostPids)
  }

  /** The metrics of each that answers. */
  async metrics(): Promise<MetricValues[]> {
    return this.#inquire('metrics', null)
  }

  /** What each that answers says of its tokens. */
  async statuses(): Promise<HsmStatus[]> {
    return this.#inquire('status', null)
  }

  /** The PIN of a token may be tried again. Whether it was refused to any of them. */
  async unlock(region: string, hsm: string, uris: readonly string[]): Promise<boolean> {
    for (const uri of uris) this.#turns.allow(uri)
    return (await this.#inquire('unlock', { region, hsm })).includes(true)
  }

  /** Has all of them finish what they have; resolves when they are gone. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#processes.map(process => process.stop(STOP_MS)))
  }

  #deskOf(process: ServiceProcess): Desk {
    const desk = this.#desk!
    const turns = this.#turns.of(process)
    const held = this.#held.get(process) ?? new Set<string>()
    this.#held.set(process, held)
    return {
      hello: () => ({ number: process.number, configuration: this.#configuration, listen: this.#listen }),
      record: desk.record,
      settle: desk.settle,
      count: desk.count,
      hold({ id }) {
        held.add(id)
        desk.hold(id)
      },
      release({ id }) {
        held.delete(id)
        desk.release(id)
      },
      changed: async change => {
        desk.heed(change)
        await this.#forget(change, process)
      },
      evict: async eviction => {
        await Promise.all([desk.evict(eviction), this.#tellAll('evict', eviction, process)])
      },
      takeTurn: ({ uri }) => turns.take(uri),
      endTurn: ({ uri, refusal }) => turns.end(uri, refusal),
    }
  }

  /** What touches nothing that memory holds is waited for by nobody. */
  async #forget(change: StoreChange, except?: ServiceProcess): Promise<void> {
    const { keys, aliases, accessKeys, principals, everyPrincipal } = change
    const told = this.#tellAll('forget', change, except)
    if (everyPrincipal || keys.length + aliases.length + accessKeys.length + principals.length > 0) await told
  }

  async #tellAll<N extends keyof AskedOfService>(
    name: N,
    body: AskedOfService[N]['ask'],
    except?: ServiceProcess,
  ): Promise<void> {
    await Promise.all(this.#processes.map(process => (process === except ? undefined : process.tell(name, body))))
  }

  /** The answers of those that serve and have one. */
  async #inquire<N extends keyof AskedOfService>(
    name: N,
    body: AskedOfService[N]['ask'],
  ): Promise<AskedOfService[N]['answer'][]> {
    const answers = await Promise.all(this.#processes.map(process => process.inquire(name, body)))
    return answers.filter(answer => answer !== undefined) as AskedOfService[N]['answer'][]
  }

  #serving(process: ServiceProcess, endpoint: string): void {
    if (this.#endpoint !== undefined && endpoint !== this.#endpoint)
      this.#logger.error('service process listens elsewhere', { process: process.number, endpoint })
    this.#endpoint ??= endpoint
    this.#logger.info('service process serves', { process: process.number, pid: process.pid })
    process.tell('auditFailed', { reason: this.#auditFailure }).catch(() => {})
    this.#served.resolve(endpoint)
  }

  #ended(process: ServiceProcess, reason: string): void {
    if (this.#endpoint === undefined) this.#served.reject(new Error(`a service process cannot begin: ${reason}`))
    this.#turns.leave(process)
    for (const id of this.#held.get(process) ?? []) this.#desk?.release(id)
    this.#held.delete(process)
    // The socket closes with the last process that listens: whoever listens next takes the same port, whichever was asked for.
    if (this.serving === 0 && this.#endpoint !== undefined)
      this.#listen = { ...this.#listen, port: Number(new URL(this.#endpoint).port) }
  }

  #tellOfAudit(): void {
    const reason = this.#desk?.auditFailure()
    if (reason === this.#auditFailure) return
    this.#auditFailure = reason
    void this.#tellAll('auditFailed', { reason })
  }
}
