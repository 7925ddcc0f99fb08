/**
 * The processes that take connections and do the work of requests, as the first process of the daemon sees them. It starts
 * them, keeps the listening socket and hands each new connection to the next of them (node:cluster), tells all of them what
 * one has changed, and keeps what there is one of: the rates of requests, the turns to open a token.
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
import { SiblingChains } from './sibling-chains.ts'
import { TokenTurns } from './token-turns.ts'

/** What the first process does for the others. */
export interface FirstDesk extends Pick<Desk, 'settle' | 'count'> {
  /** Its chain of the audit log. */
  readonly chain: string
  /** Forgets what another process has changed. */
  heed(change: StoreChange): void
  evict(eviction: Eviction): Promise<void>
}

/** The processes once they take connections; disposing of it has them finish what they have. */
export interface Serving extends AsyncDisposable {
  readonly endpoint: string
  /** Those of the first process: it has none. */
  connections(): Promise<number>
  /** Has each of them read the files of the certificate again; absent where plain HTTP is served. */
  readonly reloadCertificate?: () => void
}

/** Longer than a process takes to drain its connections and its hosts. */
const STOP_MS = 25_000

export class ServiceProcesses {
  readonly chains = new SiblingChains()
  readonly #processes: readonly ServiceProcess[]
  readonly #configuration: Configuration
  readonly #logger: Logger
  readonly #turns = new TokenTurns()
  #desk: FirstDesk | undefined
  #endpoint: string | undefined
  #listen: { readonly host: string; readonly port: number }
  #served = Promise.withResolvers<string>()

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
    const serving = this.#processes.filter(({ serves }) => serves)
    if (serving.length === 0) return ['no service process takes connections']
    const ready = serving.some(({ number }) => this.chains.isReady(number))
    return ready ? [] : ['no service process has a token that can serve']
  }

  /** Starts all of them. Resolves when one of them takes connections; rejects when one cannot. */
  async start(desk: FirstDesk): Promise<Serving> {
    this.#desk = desk
    cluster.setupPrimary({ exec: SERVICE_ENTRY, args: [], serialization: 'advanced' })
    cluster.schedulingPolicy = cluster.SCHED_RR
    for (const process of this.#processes) process.start()
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
    const answers = this.#processes.map(async process => {
      const { hostPids } = await process.ask('whenReady', { timeoutMs })
      this.chains.becameReady(process.number)
      return hostPids
    })
    return (await Promise.all(answers)).flat()
  }

  /** The metrics of each that answers. */
  async metrics(): Promise<MetricValues[]> {
    return this.#inquire('metrics', null)
  }

  /** What each that answers says of its tokens. */
  async statuses(): Promise<HsmStatus[]> {
    return this.#inquire('status', null)
  }

  /** Has the audit log of each put where it is looked for, as far as they answer. */
  async settle(): Promise<void> {
    await this.#inquire('settle', null)
  }

  /** The PIN of a token may be tried again. Whether it was refused to any of them. */
  async unlock(region: string, hsm: string, uris: readonly string[]): Promise<boolean> {
    for (const uri of uris) this.#turns.allow(uri)
    return (await this.#inquire('unlock', { region, hsm })).includes(true)
  }

  /** Has all of them finish what they have; resolves when they are gone. */
  async stop(): Promise<void> {
    await Promise.all(this.#processes.map(process => process.stop(STOP_MS)))
  }

  #deskOf(process: ServiceProcess): Desk {
    const desk = this.#desk!
    const turns = this.#turns.of(process)
    const { number } = process
    return {
      hello: () => ({
        ...{ number, daemonChain: desk.chain, configuration: this.#configuration, listen: this.#listen },
        othersServe: this.serving > 0,
      }),
      standing: standing => this.chains.told(number, standing),
      settle: desk.settle,
      count: desk.count,
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
    this.#served.resolve(endpoint)
  }

  #ended(process: ServiceProcess, reason: string): void {
    if (this.#endpoint === undefined) this.#served.reject(new Error(`a service process cannot begin: ${reason}`))
    this.#turns.leave(process)
    this.chains.left(process.number)
    // The socket closes with the last process that listens: whoever listens next takes the same port, whichever was asked for.
    if (this.serving === 0 && this.#endpoint !== undefined)
      this.#listen = { ...this.#listen, port: Number(new URL(this.#endpoint).port) }
  }
}
