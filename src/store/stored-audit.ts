/** The audit log, as far as the key store holds it. */

/** Lines of the audit log (formats/audit-chain.ts) that follow each other in one chain. */
export interface AuditBlock<Bytes extends Uint8Array = Buffer> {
  readonly chain: string
  /** The numbers of its first and last event. */
  readonly firstSeq: number
  readonly lastSeq: number
  readonly firstAtMs: number
  readonly lastAtMs: number
  readonly lines: Bytes
}

/** Where a block stands among all: by its end, its chain and its number in it, each in ascending order. */
export interface AuditBlockPlace {
  readonly chain: string
  readonly number: number
  readonly lastAtMs: number
}

/** An event that a change has left behind and that no chain holds yet. */
export interface StoredEvent {
  readonly id: string
  readonly atMs: number
  /** JSON. */
  readonly event: string
  /** The chain whose writer will put it there, if that lives; null where anybody may. */
  readonly chain: string | null
}

/** How much of the audit log's files a forwarder has passed on. */
export interface AuditPosition {
  /** The name of a file. */
  readonly file: string
  /** Bytes of it. */
  readonly offset: number
}

/** What transactions leave an event behind with their change: asked when one is about to commit. */
export interface PendingEventSource {
  /** The chain that will hold them. */
  readonly chain: string
  current(): { readonly id: string; text(keys: readonly string[]): string } | undefined
}

export interface StoredAudit {
  /** Adds a block and lets go of the pending events that it, or one before it, holds; on a thread of its own. */
  addBlock(block: AuditBlock, chained: readonly string[]): Promise<void>
  lastBlock(chain: string): Promise<AuditBlock | undefined>
  /** Blocks that may hold events of a time, both ends included, the newest first; those behind a place when one is given. */
  blocksBackwards(
    range: { readonly fromMs?: number | undefined; readonly toMs?: number | undefined },
    behind?: AuditBlockPlace | undefined,
  ): AsyncGenerator<AuditBlock & AuditBlockPlace>
  /** All blocks, in the order of their chains. */
  blocks(): AsyncGenerator<AuditBlock>
  /** Removes blocks that ended before a moment, and the oldest while all together have more bytes. Returns how many. */
  expire(beforeMs: number, maxBytes: number): Promise<number>
  /** Events that no block holds, the oldest first. */
  pendingEvents(limit: number): Promise<StoredEvent[]>
  /** Lets go of events that a chain holds. */
  forgetPending(ids: readonly string[]): Promise<void>
  position(name: string): Promise<AuditPosition | undefined>
  setPosition(name: string, position: AuditPosition): Promise<void>
}
