import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { ByteReader, ByteWriter, equalConstantTime, MalformedBytes, wipe } from '../../../src/base/bytes.ts'

const buffer = (maxLength: number) => fc.uint8Array({ maxLength }).map(bytes => Buffer.from(bytes))
const text = fc.string({ unit: 'grapheme', maxLength: 40 })

/** One field: how it is written, how it is read, and its value. */
type Item = Of<'u8' | 'u16' | 'u32' | 'u64', number> | Of<'raw' | 'lp' | 'lp32', Buffer> | Of<'text', string>
type Of<Kind extends string, Value> = { [K in Kind]: { kind: K; value: Value } }[Kind]

const item: fc.Arbitrary<Item> = fc.oneof(
  fc.record({ kind: fc.constant('u8' as const), value: fc.integer({ min: 0, max: 0xff }) }),
  fc.record({ kind: fc.constant('u16' as const), value: fc.integer({ min: 0, max: 0xffff }) }),
  fc.record({ kind: fc.constant('u32' as const), value: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  fc.record({ kind: fc.constant('u64' as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constantFrom('raw' as const, 'lp' as const, 'lp32' as const), value: buffer(700) }),
  fc.record({ kind: fc.constant('text' as const), value: text }),
)

function write(writer: ByteWriter, { kind, value }: Item): void {
  if (kind === 'text') writer.lp(value)
  else if (kind === 'u8' || kind === 'u16' || kind === 'u32' || kind === 'u64') writer[kind](value)
  else writer[kind](value)
}

function read(reader: ByteReader, { kind, value }: Item): unknown {
  if (kind === 'raw') return reader.raw(value.length)
  if (kind === 'lp32') return reader.lp32(0xffff_ffff)
  return reader[kind]()
}

describe('ByteWriter and ByteReader', () => {
  it('read back what was written, whatever room the writer began with', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 20 }), fc.integer({ min: 0, max: 64 }), (items, capacity) => {
        const writer = new ByteWriter(capacity)
        for (const field of items) write(writer, field)
        const reader = new ByteReader(writer.finish())
        for (const field of items) expect(read(reader, field)).toEqual(field.value)
        reader.end()
      }),
    )
  })

  it('write big-endian integers and lengths', () => {
    const writer = new ByteWriter()
      .u8(1)
      .u16(0x0203)
      .u32(0x04050607)
      .u64(0x08090a0b0c0d)
      .lp('é')
      .lp32(Buffer.of(0xff))
      .ascii('SR')
      .utf8('ü')
    expect(writer.finish().toString('hex')).toBe(
      '0102030405060700000809' + '0a0b0c0d' + '0002c3a9' + '00000001ff' + '5352' + 'c3bc',
    )
  })

  it.each<[string, () => unknown]>([
    ['u8', () => new ByteWriter().u8(0x100)],
    ['u16', () => new ByteWriter().u16(0x1_0000)],
    ['u32', () => new ByteWriter().u32(0x1_0000_0000)],
    ['a negative u32', () => new ByteWriter().u32(-1)],
    ['a negative u64', () => new ByteWriter().u64(-1)],
    ['a fraction', () => new ByteWriter().u64(0.5)],
    ['lp', () => new ByteWriter().lp(Buffer.alloc(0x1_0000))],
    ['lp of text, whose bytes count', () => new ByteWriter().lp('é'.repeat(0x8000))],
  ])('throw RangeError for what does not fit: %s', (_, write) => {
    // Node's own errors are of another realm than the test's RangeError.
    expect(write).toThrow(expect.objectContaining({ name: 'RangeError' }))
  })

  it('refuse bytes that end too soon, wherever they are cut', () => {
    const layout: Item[] = [
      { kind: 'u8', value: 1 },
      { kind: 'u16', value: 2 },
      { kind: 'u32', value: 3 },
      { kind: 'u64', value: 4 },
      { kind: 'raw', value: Buffer.from('raw') },
      { kind: 'lp', value: Buffer.from('prefixed') },
      { kind: 'text', value: 'text' },
      { kind: 'lp32', value: Buffer.from('long') },
    ]
    const writer = new ByteWriter()
    for (const field of layout) write(writer, field)
    const bytes = writer.finish()
    for (let length = 0; length < bytes.length; length++) {
      const reader = new ByteReader(bytes.subarray(0, length))
      expect(() => layout.map(field => read(reader, field))).toThrow(MalformedBytes)
    }
  })

  it('refuse lengths beyond their bound before they look at the bytes', () => {
    const lp = new ByteWriter().lp('12345').finish()
    const lp32 = new ByteWriter().lp32(Buffer.from('12345')).finish()
    expect(new ByteReader(lp).lp(5).toString()).toBe('12345')
    expect(new ByteReader(lp).text(5)).toBe('12345')
    expect(new ByteReader(lp32).lp32(5).toString()).toBe('12345')
    expect(() => new ByteReader(lp).lp(4)).toThrow('field too long')
    expect(() => new ByteReader(lp).text(4)).toThrow('field too long')
    expect(() => new ByteReader(lp32).lp32(4)).toThrow('field too long')
    expect(() => new ByteReader(Buffer.from('ffffffff', 'hex')).lp32(1_000)).toThrow('field too long')
  })

  it('refuse a u64 that is no safe integer', () => {
    expect(new ByteReader(Buffer.from('001fffffffffffff', 'hex')).u64()).toBe(Number.MAX_SAFE_INTEGER)
    expect(() => new ByteReader(Buffer.from('0020000000000000', 'hex')).u64()).toThrow(MalformedBytes)
  })

  it('refuse trailing bytes', () => {
    const reader = new ByteReader(Buffer.of(1, 2))
    reader.u8()
    expect(() => reader.end()).toThrow('trailing bytes')
    expect(reader.remaining).toBe(1)
    reader.u8()
    expect(() => reader.end()).not.toThrow()
  })

  it('never put a value into a message', () => {
    const bytes = new ByteWriter().lp('secret').finish()
    try {
      new ByteReader(bytes).lp(1)
    } catch (error) {
      expect(String(error)).not.toContain('secret')
    }
    expect.assertions(1)
  })
})

describe('ByteReader', () => {
  it('begins at an offset', () => {
    expect(new ByteReader(Buffer.of(1, 2, 3), 2).u8()).toBe(3)
  })

  it('hands out views, not copies', () => {
    const bytes = Buffer.of(0, 1, 7)
    const view = new ByteReader(bytes).lp()
    bytes[2] = 8
    expect(view[0]).toBe(8)
  })
})

describe('ByteWriter', () => {
  it('is empty after finish() and may be used again', () => {
    const writer = new ByteWriter()
    const first = writer.ascii('first').finish()
    expect(writer.length).toBe(0)
    expect(writer.ascii('second').finish().toString()).toBe('second')
    expect(first.toString()).toBe('first')
  })

  it('overwrites the room it outgrows', () => {
    const writer = new ByteWriter(8).ascii('ab')
    const outgrown = writer.view()
    writer.raw(Buffer.alloc(100))
    expect(outgrown).toEqual(Buffer.alloc(2))
    expect(writer.view().subarray(0, 2).toString()).toBe('ab')
  })

  it('overwrites what clear() drops', () => {
    const writer = new ByteWriter().ascii('secret')
    const view = writer.view()
    writer.clear()
    expect(view).toEqual(Buffer.alloc(6))
    expect(writer.length).toBe(0)
  })

  it('patches a u32 in place', () => {
    const writer = new ByteWriter().u8(9).u32(0).ascii('x')
    expect(writer.patchU32(0xdead_beef, 1).finish().toString('hex')).toBe('09deadbeef78')
  })
})

describe('equalConstantTime', () => {
  it('compares bytes and lengths', () => {
    expect(equalConstantTime(Buffer.from('ab'), Buffer.from('ab'))).toBe(true)
    expect(equalConstantTime(Buffer.from('ab'), Buffer.from('ac'))).toBe(false)
    expect(equalConstantTime(Buffer.from('ab'), Buffer.from('abc'))).toBe(false)
    expect(equalConstantTime(Buffer.alloc(0), Buffer.alloc(0))).toBe(true)
  })
})

describe('wipe', () => {
  it('overwrites every buffer it is given, and the bytes behind a view', () => {
    const whole = Buffer.from('abcdef')
    const other = new Uint8Array([1, 2])
    wipe(whole.subarray(2, 4), undefined, other)
    expect(whole.toString('latin1')).toBe('ab\0\0ef')
    expect(other).toEqual(new Uint8Array(2))
  })
})
