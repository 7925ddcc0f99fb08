/**
 * Which blocks of the audit log one lookup reads: so many that it holds up nobody, though the log has a hundred thousand. Where it
 * stops, its page ends, and the next one goes on.
 */
import { type EventPlace, earliestOf } from '../audit/query.ts'
import type { AuditBlock, AuditBlockPlace, StoredAudit } from '../store/stored-audit.ts'

/** Reading stops behind the block that reaches one of them. */
export interface ReadingLimits {
  readonly blocks: number
  /** Of their lines. */
  readonly bytes: number
}

/** From where a lookup goes on. */
export interface Continuation {
  /** Blocks up to this one have been shown. */
  readonly behind?: AuditBlockPlace | undefined
  /** Of blocks up to this one events up to `after` have been shown, of those behind it none. */
  readonly upTo?: AuditBlockPlace | undefined
  readonly after?: EventPlace | undefined
}

export interface Reading {
  readonly stored: Pick<StoredAudit, 'blocksBackwards'>
  readonly limits: ReadingLimits
  /** Reading stops once it is aborted. */
  readonly signal: AbortSignal
}

export class BlockReading {
  readonly #parts: Reading
  readonly #from: Continuation
  readonly #read: (AuditBlockPlace & Pick<AuditBlock, 'firstAtMs'>)[] = []
  #stoppedAt: AuditBlockPlace | undefined

  constructor(parts: Reading, from: Continuation) {
    this.#parts = parts
    this.#from = from
  }

  /** Those that may hold events of a time, the newest first. */
  async *blocks(range: { readonly fromMs?: number | undefined; readonly toMs?: number | undefined }) {
    const { stored, limits, signal } = this.#parts
    const { behind, upTo } = this.#from
    let bytes = 0
    for await (const block of stored.blocksBackwards(range, behind)) {
      const { chain, number, firstAtMs, lastAtMs, lines } = block
      if (upTo !== undefined && isNewer(upTo, block)) {
        this.#stoppedAt = upTo
        return
      }
      const place = { chain, number, firstAtMs, lastAtMs }
      this.#read.push(place)
      yield block
      bytes += lines.length
      if (this.#read.length >= limits.blocks || bytes >= limits.bytes || signal.aborted) {
        this.#stoppedAt = place
        return
      }
    }
  }

  /** The last block of the page, when others may follow; undefined when the log ended. */
  get stoppedAt(): AuditBlockPlace | undefined {
    return this.#stoppedAt
  }

  /** Where the next page begins to read when this one ends with an event: no block before holds one behind it. */
  continuedAfter(after: EventPlace): Continuation {
    const needed = this.#read.findIndex(block => earliestOf(block) <= after.atMs)
    return {
      behind: needed > 0 ? this.#read[needed - 1] : this.#from.behind,
      upTo: this.#stoppedAt ?? this.#from.upTo,
      after,
    }
  }
}

/** Whether a block stands before another as they are read. */
function isNewer(one: AuditBlockPlace, other: AuditBlockPlace): boolean {
  if (one.lastAtMs !== other.lastAtMs) return one.lastAtMs > other.lastAtMs
  return one.chain === other.chain ? one.number > other.number : one.chain > other.chain
}
