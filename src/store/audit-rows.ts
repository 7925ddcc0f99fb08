/** What the audit log does with the key store, beside the changes that leave their events in it. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Database } from './dialects/database.ts'
import * as audit from './sql/audit.ts'
import type { AuditBlock, AuditBlockPlace, AuditPosition, StoredAudit, StoredEvent } from './stored-audit.ts'
import type { Writability } from './writability.ts'

/** The largest time, for a range without an end. */
const EVER = Number.MAX_SAFE_INTEGER
/** An event is written this long after its own moment at most: a block's moments are those of writing. */
const WRITTEN_WITHIN_MS = 60_000
/** Read from the index alone, in a fraction of a millisecond. */
const PLACES_AT_ONCE = 256

export class AuditRows implements StoredAudit {
  readonly #database: Database
  readonly #writability: Writability

  constructor(database: Database, writability: Writability) {
    this.#database = database
    this.#writability = writability
  }

  addBlock(block: AuditBlock, chained: readonly string[]): Promise<void> {
    return this.#writability.of(() => this.#database.blocks.add(block, chained))
  }

  lastBlock(chain: string): Promise<AuditBlock | undefined> {
    return audit.findLastBlock(this.#database.reader, chain)
  }

  async *blocksBackwards(
    { fromMs = 0, toMs = EVER }: { readonly fromMs?: number | undefined; readonly toMs?: number | undefined },
    behind?: AuditBlockPlace | undefined,
  ): AsyncGenerator<AuditBlock & AuditBlockPlace> {
    const { reader } = this.#database
    for (let before = behind; ; ) {
      const places = await audit.listPlacesBackwards(reader, fromMs, before, PLACES_AT_ONCE)
      for (const place of places) {
        if (place.firstAtMs > toMs + WRITTEN_WITHIN_MS) continue
        const block = await audit.findBlock(reader, place)
        if (block !== undefined) yield { ...block, number: place.number }
      }
      if (places.length < PLACES_AT_ONCE) return
      before = places.at(-1)
      // Statements run on this thread: whoever asks for a time long ago goes past many blocks.
      await turn()
    }
  }

  async *blocks(): AsyncGenerator<AuditBlock> {
    for (const place of await audit.listBlockPlaces(this.#database.reader)) {
      const block = await audit.findBlock(this.#database.reader, place)
      if (block !== undefined) yield block
    }
  }

  async expire(beforeMs: number, maxBytes: number): Promise<number> {
    for (let all = 0; ; ) {
      const some = await this.#database.blocks.expire(beforeMs, maxBytes)
      if (some === 0) return all
      all += some
    }
  }

  pendingEvents(limit: number): Promise<StoredEvent[]> {
    return audit.listPendingEvents(this.#database.reader, limit)
  }

  forgetPending(ids: readonly string[]): Promise<void> {
    return this.#database.writer.transaction().execute(db => audit.deletePendingEvents(db, ids))
  }

  position(name: string): Promise<AuditPosition | undefined> {
    return audit.findPosition(this.#database.reader, name)
  }

  setPosition(name: string, position: AuditPosition): Promise<void> {
    return this.#database.writer.transaction().execute(db => audit.putPosition(db, name, position))
  }
}
