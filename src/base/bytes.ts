/**
 * Bytes in and out of fixed layouts: big-endian integers and length-prefixed strings, each with a bound. Every format
 * and every frame of the HSM contract is written and read with these two classes and nothing else.
 */
import { timingSafeEqual } from 'node:crypto'

/** Bytes that do not have the layout the reader was told to expect. The message names the field's kind, never its value. */
export class MalformedBytes extends Error {
  override readonly name = 'MalformedBytes'
}

const INITIAL_CAPACITY_BYTES = 512

/** Appends fields to a growing buffer. `finish()` hands the bytes out; the writer is then empty and may be used again. */
export class ByteWriter {
  #buffer: Buffer
  #length = 0

  constructor(capacityBytes = INITIAL_CAPACITY_BYTES) {
    this.#buffer = Buffer.allocUnsafeSlow(capacityBytes)
  }

  get length(): number {
    return this.#length
  }

  u8(value: number): this {
    this.#reserve(1)
    this.#length = this.#buffer.writeUInt8(value, this.#length)
    return this
  }

  u16(value: number): this {
    this.#reserve(2)
    this.#length = this.#buffer.writeUInt16BE(value, this.#length)
    return this
  }

  u32(value: number): this {
    this.#reserve(4)
    this.#length = this.#buffer.writeUInt32BE(value, this.#length)
    return this
  }

  u64(value: number): this {
    this.#reserve(8)
    this.#length = this.#buffer.writeBigUInt64BE(BigInt(value), this.#length)
    return this
  }

  /** The bytes as they are, with no length before them: for fields of a fixed size. */
  raw(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
    return this
  }

  /** The bytes as they are, which must be `length` of them. Throws RangeError: a format never holds a field of another size. */
  fixed(bytes: Uint8Array, length: number): this {
    if (bytes.length !== length) throw new RangeError(`field has ${bytes.length} bytes and must have ${length}`)
    return this.raw(bytes)
  }

  /** ASCII text as it is, with no length before it: for labels. */
  ascii(text: string): this {
    this.#reserve(text.length)
    this.#length += this.#buffer.write(text, this.#length, 'latin1')
    return this
  }

  /** Text in UTF-8, with no length before it. */
  utf8(text: string): this {
    this.#reserve(Buffer.byteLength(text))
    this.#length += this.#buffer.write(text, this.#length)
    return this
  }

  /** `lp(x)`: a u16 length of at most `max`, then the bytes. Throws RangeError beyond it. */
  lp(bytes: Uint8Array | string, max = 0xffff): this {
    const value = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes
    if (value.length > max) throw new RangeError(`field has ${value.length} bytes and may have ${max}`)
    return this.u16(value.length).raw(value)
  }

  /** A u32 length, then the bytes. */
  lp32(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes)
  }

  /** Overwrites a u32 written earlier, for a length that is known only at the end. */
  patchU32(value: number, offset: number): this {
    this.#buffer.writeUInt32BE(value, offset)
    return this
  }

  /** The bytes written so far, without a copy; the writer lets go of them. */
  finish(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#length)
    this.#buffer = Buffer.alloc(0)
    this.#length = 0
    return bytes
  }

  /** What has been written, as a view that the next write may change. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  /** Takes back what was written after `length` bytes. */
  truncate(length: number): void {
    this.#buffer.fill(0, length, this.#length)
    this.#length = length
  }

  /** Overwrites what has been written and starts again, keeping the room. */
  clear(): void {
    this.truncate(0)
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2, INITIAL_CAPACITY_BYTES))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer.fill(0)
    this.#buffer = larger
  }
}

/** Reads fields in order. Throws {@link MalformedBytes} when the bytes end too soon or a length passes its bound. */
export class ByteReader {
  readonly #buffer: Buffer
  #offset: number

  constructor(bytes: Buffer, offset = 0) {
    this.#buffer = bytes
    this.#offset = offset
  }

  get remaining(): number {
    return this.#buffer.length - this.#offset
  }

  u8(): number {
    return this.#buffer.readUInt8(this.#advance(1))
  }

  u16(): number {
    return this.#buffer.readUInt16BE(this.#advance(2))
  }

  u32(): number {
    return this.#buffer.readUInt32BE(this.#advance(4))
  }

  /** A u64 that must be a safe integer. */
  u64(): number {
    const value = Number(this.#buffer.readBigUInt64BE(this.#advance(8)))
    if (!Number.isSafeInteger(value)) throw new MalformedBytes('integer out of range')
    return value
  }

  /** One byte that is 0 or 1: a truth has one encoding. */
  flag(): boolean {
    const flag = this.u8()
    if (flag > 1) throw new MalformedBytes('not a flag')
    return flag === 1
  }

  /** A view of `length` bytes, not a copy. */
  raw(length: number): Buffer {
    const start = this.#advance(length)
    return this.#buffer.subarray(start, start + length)
  }

  /** A u16 length of at most `max`, then a view of that many bytes. */
  lp(max = 0xffff): Buffer {
    const length = this.u16()
    if (length > max) throw new MalformedBytes('field too long')
    return this.raw(length)
  }

  /** A u16 length of at most `max` bytes, then UTF-8 text. */
  text(max = 0xffff): string {
    return this.lp(max).toString('utf8')
  }

  /** A u32 length of at most `max`, then a view of that many bytes. */
  lp32(max: number): Buffer {
    const length = this.u32()
    if (length > max) throw new MalformedBytes('field too long')
    return this.raw(length)
  }

  /** Asserts that nothing follows: a layout has one encoding only. */
  end(): void {
    if (this.remaining !== 0) throw new MalformedBytes('trailing bytes')
  }

  #advance(bytes: number): number {
    const start = this.#offset
    if (bytes > this.#buffer.length - start) throw new MalformedBytes('truncated')
    this.#offset = start + bytes
    return start
  }
}

/** Compares in time that depends on the lengths only, which are never secret here. */
export function equalConstantTime(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Overwrites bytes that held plaintext or a secret. Views of one buffer are wiped by wiping the view. */
export function wipe(...buffers: readonly (Uint8Array | undefined)[]): void {
  for (const buffer of buffers) buffer?.fill(0)
}
