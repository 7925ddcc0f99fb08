/**
 * Passes the lines that a process writes to the audit log on to somewhere else, all and in their order, so that there is a copy that this machine
 * cannot change. The log's files are the spool: what is not there yet when the other side is away, or when the daemon ends, is sent
 * later. What a side may not have got, because its connection broke, is sent again: a line may come twice, and none is left out while
 * its file is there.
 */
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { linesOf } from './lines.ts'
import { listFilesOf } from './log-files.ts'

/** Where lines go. */
export interface Sink {
  readonly name: 'syslog' | 'http'
  /** Resolves when the lines are on their way; without `confirm`, when the other side has them. Lines have no LF. */
  send(lines: readonly Buffer[]): Promise<void>
  /** Resolves when the other side has read all that was sent, and rejects when it may not have. It costs a connection. */
  confirm?(): Promise<void>
  close(): void
}

/** How far a sink has come: bytes of a file, which it has for certain. */
export interface ForwardPosition {
  readonly file: string
  readonly offset: number
}

export interface PositionStorage {
  position(name: string): Promise<ForwardPosition | undefined>
  setPosition(name: string, position: ForwardPosition): Promise<void>
}

export interface ForwarderParts {
  readonly folder: string
  readonly sink: Sink
  readonly storage: PositionStorage
  /** The number of the service process whose files they are; absent for the daemon's first process. */
  readonly process?: number | undefined
  /** The other side is away, or back. */
  readonly onTrouble?: (error: Error | undefined) => void
}

const BATCH_LINES = 500
const BATCH_BYTES = 512 * 1_024
const PAUSE_MAX_MS = 30_000
const PAUSE_MS = 500
/** About so much, whichever comes first, is sent again at most to a side that was away. */
const CONFIRM_MS = 10_000
const CONFIRM_BYTES = 8 * 1_024 * 1_024

export class Forwarder {
  readonly #parts: ForwarderParts
  /** What is sent. */
  #position: ForwardPosition | undefined
  /** What the other side has, and the storage says so. */
  #confirmed: ForwardPosition | undefined
  /** When the first line was sent that is not confirmed, and how many bytes are not. */
  #unconfirmedSinceMs: number | undefined
  #unconfirmedBytes = 0
  #lagBytes = 0
  #failures = 0
  #notBeforeMs = 0

  constructor(parts: ForwarderParts) {
    this.#parts = parts
  }

  get sink(): Sink['name'] {
    return this.#parts.sink.name
  }

  /** What the storage calls its position. */
  get #name(): string {
    const { sink, process } = this.#parts
    return process === undefined ? sink.name : `${sink.name}-p${process}`
  }

  /** Bytes that the other side had not got for certain when it was last looked. */
  get lagBytes(): number {
    return this.#lagBytes
  }

  /**
   * Sends what is there. For a timer; never rejects. A side that is away is left alone for a while, longer each time. `confirm` has
   * what was sent confirmed at once, as the last run should.
   */
  async run({ confirm = false }: { readonly confirm?: boolean } = {}): Promise<void> {
    if (performance.now() < this.#notBeforeMs) return
    try {
      this.#confirmed ??= await this.#parts.storage.position(this.#name)
      this.#position ??= this.#confirmed
      while (await this.#sendNext()) await this.#confirmWhenDue(false)
      await this.#confirmWhenDue(confirm)
      if (this.#failures > 0) this.#parts.onTrouble?.(undefined)
      this.#failures = 0
    } catch (error) {
      this.#position = this.#confirmed
      this.#unconfirmedSinceMs = undefined
      this.#unconfirmedBytes = 0
      this.#failures += 1
      this.#notBeforeMs = performance.now() + Math.min(PAUSE_MS * 2 ** Math.min(this.#failures, 10), PAUSE_MAX_MS)
      if (this.#failures === 1) this.#parts.onTrouble?.(error as Error)
    }
    await this.#measure().catch(() => {})
  }

  close(): void {
    this.#parts.sink.close()
  }

  /** Sends one batch, or moves on to the next file. False when everything is sent. */
  async #sendNext(): Promise<boolean> {
    const { sink, folder, process } = this.#parts
    const files = await listFilesOf(process, folder)
    const at = this.#position ?? { file: '', offset: 0 }
    const current = files.find(path => basename(path) === at.file)
    // A file that was moved away is over.
    const next = files.find(path => basename(path) > at.file)
    if (current === undefined) {
      if (next === undefined) return false
      this.#position = { file: basename(next), offset: 0 }
      return true
    }
    const { lines, offset } = await readBatch(current, at.offset)
    if (lines.length > 0) {
      this.#unconfirmedSinceMs ??= performance.now()
      await sink.send(lines)
      this.#position = { file: at.file, offset }
      this.#unconfirmedBytes += offset - at.offset
      return true
    }
    if (next === undefined) return false
    this.#position = { file: basename(next), offset: 0 }
    return true
  }

  async #confirmWhenDue(now: boolean): Promise<void> {
    const { sink, storage } = this.#parts
    const sinceMs = this.#unconfirmedSinceMs
    if (sinceMs === undefined || this.#position === undefined) return
    if (sink.confirm !== undefined) {
      const due = performance.now() - sinceMs >= CONFIRM_MS || this.#unconfirmedBytes >= CONFIRM_BYTES
      if (!now && !due) return
      await sink.confirm()
    }
    this.#confirmed = this.#position
    this.#unconfirmedSinceMs = undefined
    this.#unconfirmedBytes = 0
    await storage.setPosition(this.#name, this.#confirmed)
  }

  async #measure(): Promise<void> {
    const { file = '', offset = 0 } = this.#confirmed ?? {}
    let bytes = 0
    for (const path of await listFilesOf(this.#parts.process, this.#parts.folder)) {
      if (basename(path) < file) continue
      bytes += (await stat(path)).size - (basename(path) === file ? offset : 0)
    }
    this.#lagBytes = bytes
  }
}

/** Whole lines only: one that is being written comes with the next batch. */
async function readBatch(path: string, start: number): Promise<{ lines: Buffer[]; offset: number }> {
  const lines: Buffer[] = []
  let offset = start
  let bytes = 0
  for await (const { bytes: line, end, complete } of linesOf(path, start)) {
    if (!complete) break
    lines.push(Buffer.from(line))
    offset = end
    bytes += line.length
    if (lines.length >= BATCH_LINES || bytes >= BATCH_BYTES) break
  }
  return { lines, offset }
}
