/** What a dialect hands to the store: two handles for the same queries, and the little that SQL has no word for. */
import type { Kysely } from 'kysely'
import type { Tables } from '../sql/tables.ts'
import type { StoreSizes } from '../store.ts'
import type { AuditBlock } from '../stored-audit.ts'

/** What the database calls a column of bytes: all that differs in the tables. */
export type BytesColumn = 'blob' | 'bytea'

/** Adds and removes blocks of the audit log, while requests go on. */
export interface BlockWriter {
  /** Compresses the block, and lets go of the pending events that it, or one before it, holds. Throws StoreLocked. */
  add(block: AuditBlock, chained: readonly string[]): Promise<void>
  /** Removes some of the blocks that are too old or too many. Returns how many; 0 when none is left of them. */
  expire(beforeMs: number, maxBytes: number): Promise<number>
}

export interface Database {
  /** Sees committed changes only, and waits for no transaction. */
  readonly reader: Kysely<Tables>
  /** For transactions that only read: all of their statements see one moment. */
  readonly snapshots: Kysely<Tables>
  /** For transactions. */
  readonly writer: Kysely<Tables>
  readonly blocks: BlockWriter
  readonly bytesColumn: BytesColumn
  /**
   * A number that changes when another process has committed, and does not when this one has. Undefined for a moment while this
   * one commits. Throws when it cannot be known, and when the database is not where others find it.
   */
  foreignCommits(): number | undefined
  /** Whether a statement failed because the row it points at does not exist. */
  isMissingReference(error: unknown): boolean
  /** Bytes on disk, by what holds them. */
  sizes(): Promise<StoreSizes>
  /** Overwrites what removed rows left behind. Throws StoreLocked when others keep it from doing so. */
  scrub(): Promise<void>
  /** What is wrong with the file, and rows that belong to one that is not there. */
  damages(): { readonly table: string; readonly primaryKey: string; readonly reason: string }[]
  /** Writes a copy of one moment to a file that is not there yet. */
  copyTo(path: string, onProgress: (progress: { done: number; total: number }) => void): Promise<void>
  /** Waits for the transaction that runs, then closes the handles. */
  close(): Promise<void>
}
