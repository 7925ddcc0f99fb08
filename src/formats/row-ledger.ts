/**
 * The ledger of a region's records, format 1 (security.md 2.6): a hash tree over the MACs of all records that the domain of
 * the region has signed, so that a record which is put back with its own old MAC is not the one that stands in the tree.
 * The head of the tree is itself signed as a record of the table `ledger_heads`, with the epoch as its generation.
 *
 * ```
 * place  = the first 2 bytes of SHA-256("strongroom/row-place/1" 00 + lp(table) lp(primaryKey))     65,536 buckets
 * leaf   = the first 16 bytes of SHA-256("strongroom/row-leaf/1" 00 + lp(table) lp(primaryKey) + MAC(32))
 * bucket = SHA-256("strongroom/row-bucket/1" 00 + its leaves in ascending order)
 * branch = SHA-256("strongroom/row-branch/1" 00 + the hashes of its 256 buckets)
 * digest = SHA-256("strongroom/row-ledger/1" 00 + the hashes of the 256 branches)
 * ```
 *
 * A bucket belongs to the branch that the first byte of its place names. What a token remembers of a region is its anchor:
 *
 * ```
 * anchor = 01 + u64 epoch + digest(32)                                                              41 bytes
 * ```
 */
import { hash } from 'node:crypto'
import { ByteReader, ByteWriter, MalformedBytes } from '../base/bytes.ts'
import { ROW_MAC_BYTES, ROW_PRIMARY_KEY_MAX_BYTES, ROW_TABLE_MAX_BYTES } from './row-mac.ts'

export const LEDGER_DIGEST_BYTES = 32
export const LEAF_BYTES = 16
/** Branches of the tree, and buckets of a branch. */
export const FAN_OUT = 256

const PLACE_LABEL = Buffer.from('strongroom/row-place/1\0', 'latin1')
/** Changes of a ledger before it is begun anew: more than there will be. */
const EPOCHS_OF_A_LINE = 2 ** 32
const LEAF_LABEL = Buffer.from('strongroom/row-leaf/1\0', 'latin1')
const BUCKET_LABEL = Buffer.from('strongroom/row-bucket/1\0', 'latin1')
const BRANCH_LABEL = Buffer.from('strongroom/row-branch/1\0', 'latin1')
const LEDGER_LABEL = Buffer.from('strongroom/row-ledger/1\0', 'latin1')
const ANCHOR_FORMAT = 1

export interface NamedRow {
  readonly table: string
  readonly primaryKey: string
}

/** How far a region's ledger had come: the epoch grows with every change of it. */
export interface Anchor {
  readonly epoch: number
  readonly digest: Buffer
}

/** The number of the bucket that a record stands in. */
export function placeOf(row: NamedRow): number {
  return hash('sha256', named(PLACE_LABEL, row).finish(), 'buffer').readUInt16BE(0)
}

export function leafOf(row: NamedRow, mac: Buffer): Buffer {
  return hash('sha256', named(LEAF_LABEL, row).fixed(mac, ROW_MAC_BYTES).finish(), 'buffer').subarray(0, LEAF_BYTES)
}

/** `leaves` one after the other, in ascending order. */
export function bucketHash(leaves: Buffer): Buffer {
  return hash('sha256', Buffer.concat([BUCKET_LABEL, leaves]), 'buffer')
}

/** `buckets` is their hashes, one after the other. */
export function branchHash(buckets: Buffer): Buffer {
  return hash('sha256', Buffer.concat([BRANCH_LABEL, buckets]), 'buffer')
}

/** `branches` is their hashes, one after the other. */
export function ledgerDigest(branches: Buffer): Buffer {
  return hash('sha256', Buffer.concat([LEDGER_LABEL, branches]), 'buffer')
}

/**
 * An epoch that no ledger comes to by changes from here on: those of a store that was put back, and accepted by an operator,
 * are not mixed up with what was signed after it was copied.
 */
export function epochAnew(epoch: number): number {
  return (Math.floor(epoch / EPOCHS_OF_A_LINE) + 1) * EPOCHS_OF_A_LINE
}

/** A branch whose buckets have no leaves, and the branches of a ledger without records. */
export const EMPTY_BRANCH = repeated(bucketHash(Buffer.alloc(0)))
export const EMPTY_BRANCHES = repeated(branchHash(EMPTY_BRANCH))

export function encodeAnchor({ epoch, digest }: Anchor): Buffer {
  return new ByteWriter().u8(ANCHOR_FORMAT).u64(epoch).fixed(digest, LEDGER_DIGEST_BYTES).finish()
}

/** Throws MalformedBytes. */
export function decodeAnchor(bytes: Buffer): Anchor {
  const reader = new ByteReader(bytes)
  if (reader.u8() !== ANCHOR_FORMAT) throw new MalformedBytes('not an anchor')
  const anchor = { epoch: reader.u64(), digest: Buffer.from(reader.raw(LEDGER_DIGEST_BYTES)) }
  reader.end()
  return anchor
}

function named(label: Buffer, { table, primaryKey }: NamedRow): ByteWriter {
  return new ByteWriter().raw(label).lp(table, ROW_TABLE_MAX_BYTES).lp(primaryKey, ROW_PRIMARY_KEY_MAX_BYTES)
}

function repeated(digest: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: FAN_OUT }, () => digest))
}
