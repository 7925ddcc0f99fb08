import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { ByteReader, ByteWriter, MalformedBytes } from '../../../../src/base/bytes.ts'
import {
  bytes,
  DIGEST_BYTES,
  type EktReference,
  ekt,
  type Field,
  fixed,
  flag,
  type Layout,
  readFields,
  text,
  u16,
  u32,
  type Values,
  type WriteContext,
  writeFields,
} from '../../../../src/hsm/contract/fields.ts'

const HOLDS_NONE: WriteContext = { holdsEkt: () => false }
const HOLDS_ALL: WriteContext = { holdsEkt: () => true }

function encode<L extends Layout>(layout: L, values: Values<L>, context = HOLDS_NONE): Buffer {
  const writer = new ByteWriter()
  writeFields(writer, layout, values, context)
  return writer.finish()
}

const decode = <L extends Layout>(layout: L, frame: Buffer): Values<L> => readFields(new ByteReader(frame), layout)

const one = <T>(field: Field<T>) => ({ value: field })
const buffer = (minLength: number, maxLength = minLength) =>
  fc.uint8Array({ minLength, maxLength }).map(value => Buffer.from(value))

describe('a layout', () => {
  const layout = {
    small: u16,
    large: u32,
    wanted: flag,
    blob: bytes(300),
    digest: fixed(32),
    name: text(200),
    key: ekt(500),
  }
  const values = fc.record({
    small: fc.integer({ min: 0, max: 0xffff }),
    large: fc.integer({ min: 0, max: 0xffff_ffff }),
    wanted: fc.boolean(),
    blob: buffer(0, 300),
    digest: buffer(32),
    name: fc.string({ unit: 'grapheme', maxLength: 40 }).filter(name => Buffer.byteLength(name) <= 200),
    key: fc.record({ digest: buffer(DIGEST_BYTES), record: buffer(1, 500) }),
  })

  it('reads back what was written', () => {
    fc.assert(fc.property(values, values => expect(decode(layout, encode(layout, values))).toEqual(values)))
  })

  it('is refused wherever it is cut, and with a byte more', () => {
    fc.assert(
      fc.property(values, fc.nat(), (values, cut) => {
        const frame = encode(layout, values)
        expect(() => decode(layout, frame.subarray(0, cut % frame.length))).toThrow(MalformedBytes)
        expect(() => decode(layout, Buffer.concat([frame, Buffer.alloc(1)]))).toThrow('trailing bytes')
      }),
    )
  })

  it('of no fields is no bytes', () => {
    expect(encode({}, {})).toHaveLength(0)
    expect(decode({}, Buffer.alloc(0))).toEqual({})
    expect(() => decode({}, Buffer.of(0))).toThrow(MalformedBytes)
  })

  it('keeps the order of its fields', () => {
    const frame = encode({ a: u16, b: flag, c: fixed(1) }, { a: 0x0102, b: true, c: Buffer.of(9) })
    expect(frame.toString('hex')).toBe('01020109')
  })

  it('hands out views of the frame', () => {
    const frame = encode(one(bytes(8)), { value: Buffer.from('secret') })
    const { value } = decode(one(bytes(8)), frame)
    frame.fill(0)
    expect(value).toEqual(Buffer.alloc(6))
  })
})

describe('the bounds', () => {
  it('of bytes and text hold when reading', () => {
    const frame = encode(one(bytes(0xffff)), { value: Buffer.from('12345') })
    expect(decode(one(bytes(5)), frame).value.toString()).toBe('12345')
    expect(decode(one(text(5)), frame).value).toBe('12345')
    expect(() => decode(one(bytes(4)), frame)).toThrow('field too long')
    expect(() => decode(one(text(4)), frame)).toThrow('field too long')
  })

  it('of text count bytes, not characters', () => {
    expect(() => encode(one(text(4)), { value: 'ééé' })).toThrow(RangeError)
    expect(() => decode(one(text(4)), encode(one(text(6)), { value: 'ééé' }))).toThrow('field too long')
  })

  it('of fixed fields hold when writing', () => {
    expect(() => encode(one(fixed(4)), { value: Buffer.alloc(3) })).toThrow(RangeError)
    expect(() => encode(one(fixed(4)), { value: Buffer.alloc(5) })).toThrow(RangeError)
    expect(encode(one(fixed(4)), { value: Buffer.alloc(4) })).toHaveLength(4)
  })

  it('of an EKT record hold when reading', () => {
    const value = { digest: Buffer.alloc(DIGEST_BYTES), record: Buffer.alloc(11) }
    expect(() => encode(one(ekt(10)), { value })).toThrow(RangeError)
    expect(() => decode(one(ekt(10)), encode(one(ekt(11)), { value }))).toThrow('field too long')
    expect(decode(one(ekt(11)), encode(one(ekt(11)), { value })).value).toEqual(value)
  })
})

describe('an EKT', () => {
  const value: EktReference = { digest: Buffer.alloc(DIGEST_BYTES, 7), record: Buffer.from('a record') }

  it('travels by its digest alone to a reader that holds it', () => {
    const frame = encode(one(ekt(100)), { value }, HOLDS_ALL)
    expect(frame).toHaveLength(DIGEST_BYTES + 2)
    expect(decode(one(ekt(100)), frame).value).toEqual({ digest: value.digest, record: Buffer.alloc(0) })
  })

  it('travels whole to a reader that does not', () => {
    expect(decode(one(ekt(100)), encode(one(ekt(100)), { value })).value).toEqual(value)
  })

  it('is asked for by the writer, each one by itself', () => {
    const other: EktReference = { digest: Buffer.alloc(DIGEST_BYTES, 8), record: Buffer.from('another') }
    const layout = { source: ekt(100), destination: ekt(100) }
    const holdsSource: WriteContext = { holdsEkt: ({ digest }) => digest.equals(value.digest) }
    const read = decode(layout, encode(layout, { source: value, destination: other }, holdsSource))
    expect(read.source.record).toHaveLength(0)
    expect(read.destination).toEqual(other)
  })
})
