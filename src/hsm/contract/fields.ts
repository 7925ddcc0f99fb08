/**
 * How the values of a command cross the border: each field has one binary form and one bound, and the TypeScript type
 * follows from the field. Both worlds use the same description, so neither can drift.
 */
import { type ByteReader, type ByteWriter, MalformedBytes } from '../../base/bytes.ts'

export interface Field<T> {
  write(writer: ByteWriter, value: T, context: WriteContext): void
  read(reader: ByteReader): T
}

/** What the writing side knows of the reader: which EKT records it holds already. */
export interface WriteContext {
  readonly holdsEkt: (ekt: EktReference) => boolean
}

/**
 * An EKT by the SHA-256 of its whole record, MAC included. The record travels only when the host does not hold it; a
 * host answers NEED_RECORD when it is asked by digest alone for a record it has let go.
 */
export interface EktReference {
  readonly digest: Buffer
  /** Empty on the reading side when only the digest was sent. */
  readonly record: Buffer
  /** For the pool's choice, and never sent: serials of the tokens that hold a resident HBK; absent when any token does. */
  readonly holders?: readonly string[] | undefined
}

export type Layout = Readonly<Record<string, Field<unknown>>>
export type Values<L extends Layout> = { readonly [K in keyof L]: L[K] extends Field<infer T> ? T : never }

export const DIGEST_BYTES = 32

const field = <T>(write: Field<T>['write'], read: Field<T>['read']): Field<T> => ({ write, read })

export const u16 = field<number>(
  (w, v) => void w.u16(v),
  r => r.u16(),
)
export const u32 = field<number>(
  (w, v) => void w.u32(v),
  r => r.u32(),
)
export const u64 = field<number>(
  (w, v) => void w.u64(v),
  r => r.u64(),
)
export const flag = field<boolean>(
  (w, v) => void w.u8(v ? 1 : 0),
  r => r.flag(),
)

/** At most `max` bytes, as a view of the frame. */
export const bytes = (max: number): Field<Buffer> =>
  field(
    (w, v) => void w.lp(v, max),
    r => r.lp(max),
  )

/** Exactly `length` bytes. */
export const fixed = (length: number): Field<Buffer> =>
  field(
    (w, v) => void w.fixed(v, length),
    r => r.raw(length),
  )

/** At most `max` bytes of UTF-8. */
export const text = (max: number): Field<string> =>
  field(
    (w, v) => void w.lp(v, max),
    r => r.text(max),
  )

/** One of a closed set of names, by its place in it. */
export const oneOf = <T extends string>(names: readonly T[]): Field<T> =>
  field(
    (w, v) => void w.u8(names.indexOf(v)),
    r => {
      const name = names[r.u8()]
      if (name === undefined) throw new MalformedBytes('unknown name')
      return name
    },
  )

/** At most `max` records of one layout. */
export const list = <L extends Layout>(max: number, layout: L): Field<readonly Values<L>[]> =>
  field(
    (w, v, context) => {
      if (v.length > max) throw new RangeError(`a list of ${v.length} where ${max} are the most`)
      w.u16(v.length)
      for (const item of v) writeFields(w, layout, item, context)
    },
    r => {
      const length = r.u16()
      if (length > max) throw new MalformedBytes('list too long')
      return Array.from({ length }, () => readLayout(r, layout))
    },
  )

/** An EKT: its digest, and its record unless the reader holds it. */
export const ekt = (maxRecord: number): Field<EktReference> =>
  field(
    (w, v, context) => {
      w.raw(v.digest)
      if (context.holdsEkt(v)) w.u16(0)
      else w.lp(v.record, maxRecord)
    },
    r => ({ digest: r.raw(DIGEST_BYTES), record: r.lp(maxRecord) }),
  )

/** Writes the fields of a layout in their order. */
export function writeFields<L extends Layout>(
  writer: ByteWriter,
  layout: L,
  values: Values<L>,
  context: WriteContext,
): void {
  for (const name in layout) {
    const field = layout[name] as Field<unknown>
    field.write(writer, values[name], context)
  }
}

/** Reads the fields of a layout and asserts that nothing follows. Throws {@link MalformedBytes}. */
export function readFields<L extends Layout>(reader: ByteReader, layout: L): Values<L> {
  const values = readLayout(reader, layout)
  reader.end()
  return values
}

function readLayout<L extends Layout>(reader: ByteReader, layout: L): Values<L> {
  const values: Record<string, unknown> = {}
  for (const name in layout) values[name] = (layout[name] as Field<unknown>).read(reader)
  return values as Values<L>
}
