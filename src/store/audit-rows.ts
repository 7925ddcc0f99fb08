/** What the audit log does with the key store, beside the changes that leave their events in it. */
import type { Database } from './dialects/database.ts'
import * as audit from './sql/audit.ts'
import type {
  AuditBlock,
  AuditBlockPlace,
  AuditChain,
  AuditPosition,
  StoredAudit,
  StoredEvent,
} from './stored-audit.ts'
import type { Writability } from './writability.ts'

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

  chains(): Promise<AuditChain[]> {
    return audit.listChains(this.#database.reader)
  }

  firstBlock(chain: string): Promise<AuditBlock | undefined> {
    return audit.findFirstBlock(this.#database.reader, chain)
  }

  lastBlock(chain: string): Promise<AuditBlock | undefined> {
    return audit.findLastBlock(this.#database.reader, chain)
  }

  async *blocksOf(chain: string): AsyncGenerator<AuditBlock> {
    for (let before: number | undefined; ; ) {
      const block = await audit.findLastBlock(this.#database.reader, chain, before)
      if (block === undefined) return
      yield block
      before = block.number
    }
  }

  async *blocksBackwards(range: {
    fromMs?: number | undefined
    toMs?: number | undefined
  }): AsyncGenerator<AuditBlock> {
    for (let before: AuditBlockPlace | undefined; ; ) {
      const [block]: (AuditBlock & AuditBlockPlace)[] = await audit.listBlocksBackwards(
        ...([this.#database.reader, range, before, 1] as const),
      )
      if (block === undefined) return
      yield block
      before = block
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
