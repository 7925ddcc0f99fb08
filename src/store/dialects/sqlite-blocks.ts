/**
 * The blocks of the audit log are added and removed on a thread with a connection of its own: to compress a block and to wait for
 * the disk would keep requests waiting. While it writes, no transaction of this process does, so that none is refused a lock.
 */
import { Worker } from 'node:worker_threads'
import { StoreLocked, StoreUnwritable } from '../faults.ts'
import type { AuditBlock } from '../stored-audit.ts'
import type { BlockWriter } from './database.ts'

/** What the thread is asked; it answers in order. */
export type BlockRequest =
  | { readonly kind: 'add'; readonly block: AuditBlock<Uint8Array>; readonly chained: readonly string[] }
  | { readonly kind: 'expire'; readonly beforeMs: number; readonly maxBytes: number }
  /** How often its connection has seen others commit. */
  | { readonly kind: 'version' }
  /** It ends, and does not answer. */
  | { readonly kind: 'close' }

export interface BlockAnswer {
  readonly value?: number
  readonly error?: { readonly message: string; readonly kind: 'locked' | 'unwritable' | 'other' }
}

export interface BlockThreadData {
  readonly path: string
  readonly lockWaitMs: number
}

const ENTRY = new URL('sqlite-blocks-thread.ts', import.meta.url)
const ENDED = 'the thread that stores audit events has ended'
/**
 * It holds a block at a time. The young generation is as large as the process's (scripts/strongroom), and V8 marks without an
 * end where the old one may not grow by more than that.
 */
const HEAP = { maxOldGenerationSizeMb: 256 }

/** A commit of our own that takes longer is taken for another's, which costs what memory holds. */
const UNDECIDED_MS = 400

/** Counts what other processes commit. Commits of this process through another connection look like theirs to SQLite. */
export class ForeignCommits {
  readonly #version: () => number
  #seen: number
  #count = 0
  /** When a commit of this process began whose end is not known yet. */
  #ownSinceMs: number | undefined

  /** `version` is `PRAGMA data_version` of the writing connection. */
  constructor(version: () => number) {
    this.#version = version
    this.#seen = version()
  }

  /**
   * A number that changes when another process has committed. Undefined while a commit of this process is under way, unless that
   * takes long: nobody can tell whose is seen.
   */
  count(): number | undefined {
    const sinceMs = this.#ownSinceMs
    if (sinceMs !== undefined && performance.now() - sinceMs < UNDECIDED_MS) return undefined
    const version = this.#version()
    if (version !== this.#seen) this.#count += 1
    this.#seen = version
    return this.#count
  }

  /**
   * Runs what commits on another connection of this process, and does not count that commit. `theirs` is the version as that
   * connection sees it, which its own commits do not change: as it is the same before and after, nobody else has committed.
   */
  async exceptOwn<T>(theirs: () => Promise<number>, commit: () => Promise<T>): Promise<T> {
    const before = await theirs()
    this.count()
    this.#ownSinceMs = performance.now()
    try {
      const result = await commit()
      const version = this.#version()
      if ((await theirs()) === before) this.#seen = version
      return result
    } finally {
      this.#ownSinceMs = undefined
    }
  }
}

interface Parts {
  readonly thread: BlockThreadData
  readonly foreign: ForeignCommits
  /** Runs `work` while no transaction of this process writes. */
  readonly alone: <T>(work: () => Promise<T>) => Promise<T>
}

export class ThreadedBlockWriter implements BlockWriter {
  readonly #parts: Parts
  readonly #waiting: PromiseWithResolvers<BlockAnswer>[] = []
  #worker: Worker | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async add({ lines, ...block }: AuditBlock, chained: readonly string[]): Promise<void> {
    // A copy that is handed over: a buffer may be part of a larger one that others use.
    const copy = new Uint8Array(lines)
    await this.#commit({ kind: 'add', block: { ...block, lines: copy }, chained }, [copy.buffer])
  }

  expire(beforeMs: number, maxBytes: number): Promise<number> {
    return this.#commit({ kind: 'expire', beforeMs, maxBytes })
  }

  async close(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) return
    const ended = new Promise(resolve => worker.once('exit', resolve))
    worker.postMessage({ kind: 'close' } satisfies BlockRequest)
    await ended
  }

  #commit(request: BlockRequest, transfer: ArrayBuffer[] = []): Promise<number> {
    const { alone, foreign } = this.#parts
    return alone(() => {
      // All three go to one thread: another one counts from another number.
      this.#worker ??= this.#start()
      const worker = this.#worker
      const version = () => this.#ask(worker, { kind: 'version' })
      return foreign.exceptOwn(version, () => this.#ask(worker, request, transfer))
    })
  }

  async #ask(worker: Worker, request: BlockRequest, transfer: ArrayBuffer[] = []): Promise<number> {
    if (worker !== this.#worker) throw new Error(ENDED)
    const answered = Promise.withResolvers<BlockAnswer>()
    this.#waiting.push(answered)
    worker.postMessage(request, transfer)
    const { value = 0, error } = await answered.promise
    if (error === undefined) return value
    throw errorOf(error)
  }

  /** Only who records has a thread: ceremonies read. */
  #start(): Worker {
    const worker = new Worker(ENTRY, { workerData: this.#parts.thread, resourceLimits: HEAP, execArgv: [] })
    worker.on('message', (answer: BlockAnswer) => this.#waiting.shift()?.resolve(answer))
    worker.on('error', error => this.#ended(worker, error as Error))
    worker.on('exit', () => this.#ended(worker, new Error(ENDED)))
    return worker
  }

  /** The next request starts another. One that fails is heard of twice, and the other may have been started by then. */
  #ended(worker: Worker, error: Error): void {
    if (worker !== this.#worker) return
    this.#worker = undefined
    for (const { reject } of this.#waiting.splice(0)) reject(error)
  }
}

function errorOf({ kind, message }: NonNullable<BlockAnswer['error']>): Error {
  if (kind === 'locked') return new StoreLocked(message)
  return kind === 'unwritable' ? new StoreUnwritable(message) : new Error(message)
}
