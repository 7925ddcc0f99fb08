/** Which lines of a chain's files the key store has not got, cut into blocks for it. */
import type { AuditLine } from '../formats/audit-chain.ts'
import { BLOCK_MAX_BYTES } from './line-blocks.ts'
import type { LineBlock } from './log.ts'

const LINE_FEED = Buffer.from('\n')

export interface UnstoredOptions {
  readonly chain: string
  /** The last block that the key store has of it. */
  readonly stored: LineBlock | undefined
  /** When the chain began. */
  readonly startedAtMs: number
  /** No block was written later. */
  readonly nowMs: number
}

/** Lines come in their order, from any that the key store has on, or from the first. */
export class UnstoredLines {
  readonly #chain: string
  readonly #nowMs: number
  readonly #storedSeq: number
  /** The last line that the key store has, where that is no event: what stands up to it is there too. */
  #lastStored: Buffer | undefined
  #taken: Buffer[] = []
  #bytes = 0
  #firstSeq: number
  #lastSeq: number
  #firstAtMs: number
  #lastAtMs: number

  constructor({ chain, stored, startedAtMs, nowMs }: UnstoredOptions) {
    this.#chain = chain
    this.#nowMs = nowMs
    this.#storedSeq = stored?.lastSeq ?? 0
    this.#lastStored = stored && lastCheckpointLine(stored.lines)
    this.#lastSeq = this.#storedSeq
    this.#firstSeq = this.#storedSeq + 1
    this.#firstAtMs = stored?.lastAtMs ?? startedAtMs
    this.#lastAtMs = this.#firstAtMs
  }

  /**
   * An event or a checkpoint, and its line without the LF; `seq` is the number of the last event up to it, `atMs` the moment of the
   * event, undefined where it is not known. Returns a block when one is full.
   */
  add(line: AuditLine, bytes: Buffer, seq: number, atMs: number | undefined): LineBlock | undefined {
    if (this.#has(line, bytes, seq)) return undefined
    const full = this.#bytes + bytes.length >= BLOCK_MAX_BYTES ? this.rest() : undefined
    if (line.kind === 'event') {
      if (this.#lastSeq < this.#firstSeq) this.#firstSeq = line.seq
      this.#lastSeq = line.seq
    }
    this.#lastAtMs = Math.max(this.#lastAtMs, Math.min(atMs ?? 0, this.#nowMs))
    this.#taken.push(Buffer.from(bytes), LINE_FEED)
    this.#bytes += bytes.length + LINE_FEED.length
    return full
  }

  /** What no block was made of yet; undefined when there is nothing. */
  rest(): LineBlock | undefined {
    if (this.#bytes === 0) return undefined
    const block = {
      ...{ chain: this.#chain, firstSeq: this.#firstSeq, lastSeq: this.#lastSeq },
      ...{ firstAtMs: this.#firstAtMs, lastAtMs: this.#lastAtMs, lines: Buffer.concat(this.#taken) },
    }
    this.#taken = []
    this.#bytes = 0
    this.#firstSeq = this.#lastSeq + 1
    this.#firstAtMs = this.#lastAtMs
    return block
  }

  #has(line: AuditLine, bytes: Buffer, seq: number): boolean {
    if (line.kind === 'event') {
      if (line.seq <= this.#storedSeq) return true
      this.#lastStored = undefined
      return false
    }
    if (seq < this.#storedSeq) return true
    if (this.#lastStored === undefined) return false
    if (bytes.equals(this.#lastStored)) this.#lastStored = undefined
    return true
  }
}

/** The last line of a block without its LF, where it is a checkpoint. */
function lastCheckpointLine(lines: Buffer): Buffer | undefined {
  const end = lines.length - LINE_FEED.length
  const line = lines.subarray(lines.lastIndexOf(LINE_FEED, end - 1) + 1, end)
  return line.subarray(0, CHECKPOINT_START.length).equals(CHECKPOINT_START) ? line : undefined
}

const CHECKPOINT_START = Buffer.from('{"checkpoint":', 'latin1')
