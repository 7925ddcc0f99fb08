/**
 * MAC of a stored record, format 1 (security.md 2.6): a row with the rows that belong to it, which decide together who may
 * do what or which key is meant, bound to its name and its generation by the token's domain MAC key.
 *
 * ```
 * MAC     = HMAC-SHA-256(domain MAC key, "strongroom/row/1" 00
 *           domainId(16) u32 macVersion lp(table) lp(primaryKey) u64 generation u32 length + content)
 * content = SHA-256("strongroom/row-content/1" 00 + the digests of its rows in ascending order)         32 bytes
 * digest  = SHA-256(lp(table) then per column that is not null, by name:
 *           lp(name) u8 type u32 length + value)
 * type    = 1 text (UTF-8), 2 number (decimal), 3 bytes
 * ```
 *
 * `primaryKey` is the values of the key's columns with `/` between them. A record that was deleted has the content of no
 * rows, and keeps its MAC, an alias excepted: rows that are put back do not match it. A column that is null adds nothing, so that a column
 * that is added later, and is null in the rows that are there, changes no MAC.
 */
import { hash } from 'node:crypto'
import { ByteWriter } from '../base/bytes.ts'
import { DOMAIN_ID_BYTES } from './ekt.ts'

export const ROW_MAC_BYTES = 32
export const ROW_CONTENT_BYTES = 32
export const ROW_TABLE_MAX_BYTES = 64
/** Region, account and the name of an alias, which has at most 256 characters. */
export const ROW_PRIMARY_KEY_MAX_BYTES = 512

const MAC_LABEL = Buffer.from('strongroom/row/1\0', 'latin1')
const CONTENT_LABEL = Buffer.from('strongroom/row-content/1\0', 'latin1')
const TYPES = { text: 1, number: 2, bytes: 3 } as const

/** Values as a database hands them out, by column. */
export type RowValues = Readonly<Record<string, string | number | Uint8Array | null>>

export interface RowMacFields {
  readonly domainId: Buffer
  readonly macVersion: number
  readonly table: string
  readonly primaryKey: string
  /** Grows by one with every change of the record; begins with the moment, in milliseconds, of its first MAC. */
  readonly generation: number
  readonly content: Buffer
}

/** What the domain MAC key signs for these fields. */
export function rowMacInput({ domainId, macVersion, table, primaryKey, generation, content }: RowMacFields): Buffer {
  return new ByteWriter()
    .raw(MAC_LABEL)
    .fixed(domainId, DOMAIN_ID_BYTES)
    .u32(macVersion)
    .lp(table, ROW_TABLE_MAX_BYTES)
    .lp(primaryKey, ROW_PRIMARY_KEY_MAX_BYTES)
    .u64(generation)
    .lp32(content)
    .finish()
}

/** The content of a record that has these rows, in whatever order they come. */
export function rowContent(rows: readonly { readonly table: string; readonly values: RowValues }[]): Buffer {
  const digests = rows.map(({ table, values }) => rowDigest(table, values)).sort(Buffer.compare)
  return hash('sha256', Buffer.concat([CONTENT_LABEL, ...digests]), 'buffer')
}

function rowDigest(table: string, values: RowValues): Buffer {
  const writer = new ByteWriter().lp(table)
  const columns = Object.entries(values).sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  for (const [name, value] of columns) {
    if (value === null) continue
    const [type, bytes] = encoded(value)
    writer.lp(name).u8(type).lp32(bytes)
  }
  return hash('sha256', writer.finish(), 'buffer')
}

function encoded(value: string | number | Uint8Array): [type: number, bytes: Uint8Array] {
  if (typeof value === 'string') return [TYPES.text, Buffer.from(value, 'utf8')]
  if (typeof value === 'number') return [TYPES.number, Buffer.from(String(value), 'ascii')]
  return [TYPES.bytes, value]
}
