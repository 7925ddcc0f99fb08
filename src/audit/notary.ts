/**
 * Has checkpoints of the log signed in a token, and puts what the log has written into the key store, block by block: both behind
 * the requests, a second or a thousand events at most. A token or a store that is away delays them.
 */
import type { Clock } from '../base/clock.ts'
import type { ChainHead } from '../formats/audit-chain.ts'
import {
  type CheckpointClaims,
  checkpointDigest,
  NO_ANCHOR,
  NO_CHECKPOINT,
  type StoreAnchor,
} from '../formats/audit-checkpoint.ts'
import { BLOCK_MAX_BYTES } from './line-blocks.ts'
import type { AuditLog, LineBlock } from './log.ts'
import type { AuditRecorder, PendingStorage } from './recorder.ts'

export interface BlockStorage extends PendingStorage {
  addBlock(block: LineBlock, chained: readonly string[]): Promise<void>
}

export interface NotaryParts {
  readonly log: AuditLog
  readonly recorder: AuditRecorder
  readonly storage: BlockStorage
  readonly clock: Clock
  readonly sign: (claims: CheckpointClaims) => Promise<{ readonly body: Buffer; readonly signature: Buffer }>
  /** Where the key store stands, for the checkpoint; none when absent. */
  readonly anchor?: () => StoreAnchor
  /** The heads of other chains of the daemon, which checkpoints name too; none when absent. */
  readonly others?: () => readonly ChainHead[]
  /** A part that is away, and that is back: `checkpoint` or `store`. */
  readonly onTrouble?: (part: 'checkpoint' | 'store', error: Error | undefined) => void
}

/** So many events that no checkpoint covers ask for one before its time. */
const EVENTS_MAX = 1_000

export class Notary {
  readonly #parts: NotaryParts
  readonly #troubled = new Set<string>()
  #covered: ChainHead | undefined
  #stored: ChainHead | undefined
  /** The heads of other chains that the last checkpoint names. */
  #named: readonly ChainHead[] = []
  #coveredAtMs: number
  #previous: Buffer = NO_CHECKPOINT
  #running: Promise<void> | undefined
  #again = false

  constructor(parts: NotaryParts) {
    this.#parts = parts
    this.#coveredAtMs = parts.clock()
  }

  /** The last event that a checkpoint covers; undefined before the first. */
  get covered(): ChainHead | undefined {
    return this.#covered
  }

  /** An event that the key store has, as all before it; undefined before the first. */
  get stored(): ChainHead | undefined {
    return this.#stored
  }

  /** When every event that there was had a checkpoint. */
  get coveredAtMs(): number {
    return this.#coveredAtMs
  }

  /** How many events no checkpoint covers yet. */
  get uncoveredEvents(): number {
    return this.#parts.log.head.seq - (this.#covered?.seq ?? 0)
  }

  /** Told of every batch that was written. */
  written(): void {
    const { log } = this.#parts
    if (this.uncoveredEvents >= EVENTS_MAX || log.unstoredBytes >= BLOCK_MAX_BYTES) void this.run()
  }

  /** Signs and stores what is there; one run at a time, and once more if it was asked for meanwhile. Never rejects. */
  run(): Promise<void> {
    if (this.#running !== undefined) {
      this.#again = true
      return this.#running
    }
    this.#running = this.#runAll().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #runAll(): Promise<void> {
    do {
      this.#again = false
      await this.#attempt('checkpoint', () => this.#checkpoint())
      await this.#attempt('store', () => this.#store())
    } while (this.#again && this.#troubled.size === 0)
  }

  async #checkpoint(): Promise<void> {
    const { log, clock, sign, anchor } = this.#parts
    const { head } = log
    const others = this.#parts.others?.() ?? []
    const timeMs = clock()
    if (head.seq === (this.#covered?.seq ?? 0) && !this.#haveGrown(others)) {
      this.#coveredAtMs = timeMs
      return
    }
    const claims = { head, timeMs, previous: this.#previous, anchor: anchor?.() ?? NO_ANCHOR, others }
    const { body, signature } = await sign(claims)
    await log.appendCheckpoint(body, signature)
    this.#covered = head
    this.#named = others
    this.#coveredAtMs = timeMs
    this.#previous = checkpointDigest(body)
  }

  /** Stores what is there by now: what is written meanwhile has its own time. */
  async #store(): Promise<void> {
    const { log, recorder, storage } = this.#parts
    const { head } = log
    for (let left = log.unstoredBytes; left > 0; ) {
      const chained = recorder.chained()
      const block = log.unstored()
      if (block === undefined) return
      await storage.addBlock(block, chained)
      log.stored(block)
      recorder.settled(chained)
      left -= block.lines.length
    }
    this.#stored = head
  }

  #haveGrown(others: readonly ChainHead[]): boolean {
    return others.some(({ chain, seq }) => !this.#named.some(named => named.chain === chain && named.seq === seq))
  }

  async #attempt(part: 'checkpoint' | 'store', work: () => Promise<void>): Promise<void> {
    try {
      await work()
      if (this.#troubled.delete(part)) this.#parts.onTrouble?.(part, undefined)
    } catch (error) {
      const known = this.#troubled.has(part)
      this.#troubled.add(part)
      if (!known) this.#parts.onTrouble?.(part, error as Error)
    }
  }
}
