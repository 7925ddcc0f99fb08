/** The audit log in the key store: blocks of lines are added and expire, and never change. */
import type { Selectable } from 'kysely'
import { packLines, unpackLines } from '../block-lines.ts'
import type { AuditBlock, AuditBlockPlace, AuditPosition, StoredEvent } from '../stored-audit.ts'
import type { Handle, Tables } from './tables.ts'

/** The largest time, for a range without an end. */
const EVER = Number.MAX_SAFE_INTEGER

/** Compresses its lines: for a thread of its own. */
export async function addBlock(db: Handle, block: AuditBlock<Uint8Array>): Promise<void> {
  const { chain, firstSeq, lastSeq, firstAtMs, lastAtMs, lines } = block
  const { encoding, bytes } = packLines(lines)
  const { last } = await db
    .selectFrom('audit_blocks')
    .select(({ fn }) => fn.max('number').as('last'))
    .where('chain', '=', chain)
    .executeTakeFirstOrThrow()
  await db
    .insertInto('audit_blocks')
    .values({
      ...{ chain, number: (last ?? 0) + 1, first_seq: firstSeq, last_seq: lastSeq },
      ...{ first_at_ms: firstAtMs, last_at_ms: lastAtMs, lines_bytes: bytes.length, lines: bytes, encoding },
    })
    .execute()
}

export async function findLastBlock(db: Handle, chain: string): Promise<AuditBlock | undefined> {
  const row = await db
    .selectFrom('audit_blocks')
    .selectAll()
    .where('chain', '=', chain)
    .orderBy('number', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row && (await blockOf(row))
}

/** Places of blocks that ended at a time or later, the newest first, with their beginnings; `before` is the last that was read. */
export async function listPlacesBackwards(
  db: Handle,
  fromMs: number,
  before: AuditBlockPlace | undefined,
  limit: number,
): Promise<(AuditBlockPlace & Pick<AuditBlock, 'firstAtMs'>)[]> {
  const rows = await db
    .selectFrom('audit_blocks')
    .select(['chain', 'number', 'first_at_ms', 'last_at_ms'])
    .where('last_at_ms', '>=', fromMs)
    .$if(before !== undefined, query =>
      query.where(({ eb, refTuple, tuple }) =>
        eb(
          refTuple('last_at_ms', 'chain', 'number'),
          '<',
          tuple(before?.lastAtMs ?? 0, before?.chain ?? '', before?.number ?? 0),
        ),
      ),
    )
    .orderBy('last_at_ms', 'desc')
    .orderBy('chain', 'desc')
    .orderBy('number', 'desc')
    .limit(limit)
    .execute()
  return rows.map(({ chain, number, first_at_ms: firstAtMs, last_at_ms: lastAtMs }) => {
    return { chain, number, firstAtMs, lastAtMs }
  })
}

/** Places of all blocks: chains in the order in which they began, and the blocks of each in theirs. */
export async function listBlockPlaces(db: Handle): Promise<AuditBlockPlace[]> {
  const rows = await db.selectFrom('audit_blocks').select(['chain', 'number', 'first_at_ms', 'last_at_ms']).execute()
  const began = new Map<string, number>()
  for (const { chain, first_at_ms: at } of rows) began.set(chain, Math.min(began.get(chain) ?? EVER, at))
  return rows
    .map(({ chain, number, last_at_ms: lastAtMs }) => ({ chain, number, lastAtMs }))
    .sort(
      (a, b) =>
        (began.get(a.chain) ?? 0) - (began.get(b.chain) ?? 0) || compare(a.chain, b.chain) || a.number - b.number,
    )
}

export async function findBlock(db: Handle, { chain, number }: AuditBlockPlace): Promise<AuditBlock | undefined> {
  const row = await db
    .selectFrom('audit_blocks')
    .selectAll()
    .where('chain', '=', chain)
    .where('number', '=', number)
    .executeTakeFirst()
  return row && (await blockOf(row))
}

/**
 * Removes blocks that ended before a moment, and the oldest while all together have more bytes: `limit` at most. Returns how many
 * it has removed.
 */
export async function expireBlocks(db: Handle, beforeMs: number, maxBytes: number, limit: number): Promise<number> {
  const { total } = await db
    .selectFrom('audit_blocks')
    .select(({ fn }) => fn.sum<number | null>('lines_bytes').as('total'))
    .executeTakeFirstOrThrow()
  const oldest = await db
    .selectFrom('audit_blocks')
    .select(['chain', 'number', 'last_at_ms', 'lines_bytes'])
    .orderBy('last_at_ms')
    .orderBy('chain')
    .orderBy('number')
    .limit(limit)
    .execute()
  let bytes = total ?? 0
  let removed = 0
  for (const { chain, number, last_at_ms: at, lines_bytes: length } of oldest) {
    if (at >= beforeMs && bytes <= maxBytes) break
    await db.deleteFrom('audit_blocks').where('chain', '=', chain).where('number', '=', number).execute()
    bytes -= length
    removed += 1
  }
  return removed
}

/** An event that is there already stays: it is the same, of an earlier transaction of the same change. */
export async function putPendingEvent(db: Handle, { id, atMs, event, chain }: StoredEvent): Promise<void> {
  await db
    .insertInto('audit_pending_events')
    .values({ id, at_ms: atMs, event, chain })
    .onConflict(conflict => conflict.column('id').doNothing())
    .execute()
}

/** The oldest first. */
export async function listPendingEvents(db: Handle, limit: number): Promise<StoredEvent[]> {
  const rows = await db
    .selectFrom('audit_pending_events')
    .selectAll()
    .orderBy('at_ms')
    .orderBy('id')
    .limit(limit)
    .execute()
  return rows.map(({ id, at_ms: atMs, event, chain }) => ({ id, atMs, event, chain }))
}

export async function deletePendingEvents(db: Handle, ids: readonly string[]): Promise<void> {
  for (const id of ids) await db.deleteFrom('audit_pending_events').where('id', '=', id).execute()
}

export async function findPosition(db: Handle, name: string): Promise<AuditPosition | undefined> {
  const row = await db.selectFrom('audit_positions').selectAll().where('name', '=', name).executeTakeFirst()
  return row && { file: row.file, offset: row.byte_offset }
}

export async function putPosition(db: Handle, name: string, { file, offset }: AuditPosition): Promise<void> {
  await db
    .insertInto('audit_positions')
    .values({ name, file, byte_offset: offset })
    .onConflict(conflict => conflict.column('name').doUpdateSet({ file, byte_offset: offset }))
    .execute()
}

async function blockOf(row: Selectable<Tables['audit_blocks']>): Promise<AuditBlock> {
  const { chain, first_seq: firstSeq, last_seq: lastSeq, first_at_ms: firstAtMs, last_at_ms: lastAtMs } = row
  const lines = await unpackLines(row.encoding, bytesOf(row.lines))
  return { chain, firstSeq, lastSeq, firstAtMs, lastAtMs, lines }
}

/** A column of SQLite holds whatever somebody has put there. */
function bytesOf(value: Uint8Array): Buffer {
  return ArrayBuffer.isView(value)
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    : Buffer.from(String(value))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
