/**
 * The audit log: events are chained and written to its files, those of a moment together, and are on the disk before anybody
 * is told that they are recorded. While they cannot be written, nothing that needs recording is done.
 */

import { ByteWriter } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import {
  CHAIN_START,
  ChainHasher,
  type ChainHead,
  checkpointLine,
  EVENT_LINE_MORE_BYTES,
  writeEventLine,
} from '../formats/audit-chain.ts'
import { BLOCK_MAX_BYTES, cutLines, type Lines } from './line-blocks.ts'
import type { LogFiles } from './log-files.ts'
import { AuditUnavailable } from './unavailable.ts'

/** Lines of the log that belong together, as they stand in its files. */
export interface LineBlock {
  readonly chain: string
  /** The numbers of its first and last event. */
  readonly firstSeq: number
  readonly lastSeq: number
  /** When the first and the last batch of its events were written. */
  readonly firstAtMs: number
  readonly lastAtMs: number
  readonly lines: Buffer
}

/** Why nothing can be recorded. */
export interface AuditFailure {
  readonly reason: string
  readonly sinceMs: number
}

export interface AuditLogParts {
  readonly files: LogFiles
  /** 32 hex digits. */
  readonly chain: string
  readonly clock: Clock
  /** Lines that nobody has taken for the key store; beyond it nothing more is recorded. */
  readonly unstoredMaxBytes?: number
  /** Throws when the chain is no longer this process' to write; called before each batch. */
  readonly requireOwner?: () => void
  /** A batch is on the disk. */
  readonly onWritten?: () => void
  readonly onFailed?: (failure: AuditFailure) => void
  /** The event that is recorded first when writing works again. */
  readonly resumed?: (failure: AuditFailure, refused: number) => string
}

interface Batch {
  readonly events: string[]
  checkpoints: string
  readonly done: PromiseWithResolvers<void>
}

interface Unstored extends Lines {
  readonly atMs: number
}

const UNSTORED_MAX_BYTES = 128 * 1_024 * 1_024

export class AuditLog {
  readonly chain: string
  readonly #files: LogFiles
  readonly #parts: AuditLogParts
  readonly #hasher: ChainHasher
  #head: ChainHead
  #batch = newBatch()
  #writing: Promise<void> | undefined
  #failure: AuditFailure | undefined
  #refused = 0
  #unstored: Unstored[] = []
  #unstoredBytes = 0
  #closed = false

  constructor(parts: AuditLogParts) {
    this.chain = parts.chain
    this.#parts = parts
    this.#files = parts.files
    this.#hasher = new ChainHasher(parts.chain)
    this.#head = { chain: parts.chain, seq: 0, hash: CHAIN_START }
  }

  /** Begins the chain's first file. Rejects when it cannot be written. */
  async start(): Promise<void> {
    await this.#files.startNext(this.#head)
  }

  /** The last event that is on the disk. */
  get head(): ChainHead {
    return this.#head
  }

  /** The file that events go to. */
  get path(): string | undefined {
    return this.#files.path
  }

  /** Bytes of lines that the key store has not got yet. */
  get unstoredBytes(): number {
    return this.#unstoredBytes
  }

  /** Why events cannot be recorded now; undefined when they can. */
  get failure(): AuditFailure | undefined {
    if (this.#failure !== undefined) return this.#failure
    const { unstoredMaxBytes = UNSTORED_MAX_BYTES, clock } = this.#parts
    if (this.#unstoredBytes <= unstoredMaxBytes) return undefined
    return { reason: 'the key store takes no events', sinceMs: clock() }
  }

  /** Throws AuditUnavailable while nothing can be recorded, so that nothing is begun. */
  requireWritable(): void {
    const { failure } = this
    if (failure === undefined && !this.#closed) return
    this.#refused += 1
    throw new AuditUnavailable(failure?.reason ?? 'the audit log is closed')
  }

  /**
   * Records an event: JSON text of an object, without line breaks. Resolves when it is on the disk; all events of a batch share
   * one promise. Rejects with AuditUnavailable when it could not be written, and then it stands nowhere.
   */
  append(event: string): Promise<void> {
    if (this.#failure !== undefined || this.#closed) return this.#refuse()
    const batch = this.#batch
    batch.events.push(event)
    this.#wake()
    return batch.done.promise
  }

  /** The same for a checkpoint. */
  appendCheckpoint(body: Buffer, signature: Buffer): Promise<void> {
    if (this.#failure !== undefined) return this.#refuse()
    const batch = this.#batch
    batch.checkpoints += checkpointLine(body, signature)
    this.#wake()
    return batch.done.promise
  }

  /** The oldest lines that are written and not stored, as many as a block may hold; {@link stored} says that it has them. */
  unstored(): LineBlock | undefined {
    const taken: Unstored[] = []
    let bytes = 0
    for (const written of this.#unstored) {
      bytes += written.lines.length
      if (bytes > BLOCK_MAX_BYTES && taken.length > 0) break
      taken.push(written)
    }
    const [first] = taken
    const last = taken.at(-1)
    if (first === undefined || last === undefined) return undefined
    return {
      ...{ chain: this.chain, firstSeq: first.firstSeq, lastSeq: last.lastSeq },
      ...{ firstAtMs: first.atMs, lastAtMs: last.atMs },
      lines: Buffer.concat(taken.map(({ lines }) => lines)),
    }
  }

  /** Lets go of a block that {@link unstored} has returned. */
  stored({ lines }: LineBlock): void {
    let bytes = lines.length
    let count = 0
    while (bytes > 0) bytes -= this.#unstored[count++]?.lines.length ?? bytes
    this.#unstored.splice(0, count)
    this.#unstoredBytes -= lines.length
  }

  /**
   * Looks whether the file is still there, and tries again to write when that has failed: on a new file, which goes on where
   * the last event on the disk is. For a timer; never rejects.
   */
  async tend(): Promise<void> {
    if (this.#closed) return
    if (this.#failure === undefined) await this.#files.check().catch((error: Error) => this.#fail(error))
    const failure = this.#failure
    if (failure === undefined) return
    // Nothing is taken while it lasts, so that this ends.
    while (this.#writing !== undefined) await this.#writing
    await this.#resume(failure)
  }

  /** Writes what is there, then closes the file. No event is taken any more. */
  async close(): Promise<void> {
    this.#closed = true
    while (this.#writing !== undefined) await this.#writing
    await this.#files.close().catch(() => {})
  }

  #wake(): void {
    if (this.#writing !== undefined) return
    // The events of this turn go together.
    this.#writing = new Promise<void>(resolve => setImmediate(resolve))
      .then(() => this.#writeAll())
      .finally(() => {
        this.#writing = undefined
        // Those who waited for the last batch may have filled another before this turn.
        if (this.#failure === undefined && !isEmpty(this.#batch)) this.#wake()
      })
  }

  /** While a batch is being written, the next one fills. */
  async #writeAll(): Promise<void> {
    while (this.#failure === undefined && !isEmpty(this.#batch)) {
      const batch = this.#batch
      this.#batch = newBatch()
      try {
        await this.#write(batch)
        batch.done.resolve()
        this.#parts.onWritten?.()
        if (this.#files.isFull(batch.checkpoints !== '')) await this.#files.startNext(this.#head)
      } catch (error) {
        this.#fail(error as Error)
        batch.done.reject(unavailable(error as Error))
      }
    }
  }

  async #write(batch: Batch): Promise<void> {
    const { events, checkpoints } = batch
    this.#parts.requireOwner?.()
    const before = this.#head
    let { seq, hash } = before
    const writer = new ByteWriter(lengthOf(batch))
    for (const event of events) {
      seq += 1
      hash = this.#hasher.next(seq, hash, event)
      writeEventLine(writer, seq, hash, event)
    }
    const lines = writer.ascii(checkpoints).finish()
    await this.#files.append(lines)
    this.#head = { chain: this.chain, seq, hash }
    this.#keep({ firstSeq: before.seq + 1, lastSeq: seq, lines })
  }

  /** For the key store. Few batches are more than a block may hold. */
  #keep(written: Lines): void {
    const { lines, firstSeq } = written
    const pieces = lines.length <= BLOCK_MAX_BYTES ? [written] : cutLines(lines, firstSeq)
    const atMs = this.#parts.clock()
    for (const piece of pieces) this.#unstored.push({ ...piece, atMs })
    this.#unstoredBytes += lines.length
  }

  #fail(error: Error): void {
    const failure = { reason: error.message, sinceMs: this.#parts.clock() }
    this.#failure = failure
    const waiting = this.#batch
    this.#batch = newBatch()
    waiting.done.reject(unavailable(error))
    this.#parts.onFailed?.(failure)
  }

  #refuse(): Promise<never> {
    this.#refused += 1
    return Promise.reject(new AuditUnavailable(this.#failure?.reason ?? 'the audit log is closed'))
  }

  async #resume(failure: AuditFailure): Promise<void> {
    try {
      await this.#files.startNext(this.#head)
      const event = this.#parts.resumed?.(failure, this.#refused)
      if (event !== undefined) await this.#write({ ...newBatch(), events: [event] })
      this.#failure = undefined
      this.#refused = 0
    } catch (error) {
      // The first moment counts; the reason may have changed.
      this.#failure = { ...failure, reason: (error as Error).message }
    }
  }
}

function isEmpty({ events, checkpoints }: Batch): boolean {
  return events.length === 0 && checkpoints === ''
}

/** How many bytes its lines have, and a few more; fewer than they have when events are not ASCII. */
function lengthOf({ events, checkpoints }: Batch): number {
  let length = checkpoints.length
  for (const event of events) length += event.length + EVENT_LINE_MORE_BYTES
  return length
}

function newBatch(): Batch {
  const done = Promise.withResolvers<void>()
  // Of a batch that nobody waits for, such as a checkpoint alone, the failure is known by other means.
  done.promise.catch(() => {})
  return { events: [], checkpoints: '', done }
}

function unavailable(error: Error): AuditUnavailable {
  return new AuditUnavailable(error.message, { cause: error })
}
