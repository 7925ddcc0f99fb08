/**
 * Frames on the socket pair between the worlds. All integers are big-endian.
 *
 * ```
 * request   u32 length of what follows | u32 id | u8 command code | arguments
 *           with 0x80 added to the code: … | u8 code | 16 trace id | 8 span id | arguments; the host then tells of a span
 * answer    u32 length of what follows | u32 id | u8 outcome      | u32 microseconds in the token | body
 *
 * outcome 0 result: the command's result          1 fault: u8 kind + lp(reason)
 *         2 need-record: no body; send the command again with its EKT records
 *         3 event (id 0): UTF-8 JSON of a HostEvent
 * ```
 *
 * The first frame to a host is its configuration: id 0, code 0, UTF-8 JSON of a HostConfiguration.
 */
import { ByteReader, type ByteWriter, MalformedBytes } from '../../base/bytes.ts'
import { type Args, type CommandName, commandByCode, commands, type Result } from './commands.ts'
import { FAULT_KINDS, type FaultKind, HsmFault } from './fault.ts'
import { readFields, type WriteContext, writeFields } from './fields.ts'

/**
 * Answers that a lane keeps back at most, to send them together. So when a host ends, the command that it was at is one of
 * the first so many that have no answer.
 */
export const ANSWERS_TOGETHER_MAX = 16
/** Answers leave together, but none waits longer than this for the ones behind it ... */
export const ANSWER_DELAY_MS = 1
/**
 * ... or this, while more commands are behind them than answers are kept back: the lane has work until new ones come. Each
 * message wakes the service, whose code and data have left the caches by then: that costs it as much as several requests.
 */
export const BUSY_ANSWER_DELAY_MS = 16

/** Above any legal frame: two EKT records, a ciphertext and small fields. */
export const FRAME_MAX_BYTES = 65_536
const LENGTH_BYTES = 4
const REASON_MAX_BYTES = 512

export const OUTCOMES = ['result', 'fault', 'need-record', 'event'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** Trace id and span id of the request that a command is done for. */
export const TRACE_CONTEXT_BYTES = 24
/** Added to the code of a command that is traced; no command has a code as high. */
const TRACED = 0x80

export interface Request {
  readonly id: number
  readonly name: CommandName
  readonly args: Args<CommandName>
  /** Undefined when nobody traces it. */
  readonly trace: Buffer | undefined
}

export interface Answer {
  readonly id: number
  readonly outcome: Outcome
  readonly tokenMicroseconds: number
  /** What follows, to be read once: {@link readResult}, {@link readFault} or {@link readEvent}. */
  readonly body: ByteReader
}

export function writeRequest<C extends CommandName>(
  writer: ByteWriter,
  id: number,
  name: C,
  args: Args<C>,
  context: WriteContext,
  trace?: Buffer,
): void {
  // As `framed` does it, without a function made for each request.
  const start = writer.length
  try {
    writer.u32(0).u32(id)
    const { code, args: layout } = commands[name]
    if (trace === undefined) writer.u8(code)
    else writer.u8(code | TRACED).fixed(trace, TRACE_CONTEXT_BYTES)
    writeFields(writer, layout as (typeof commands)[C]['args'], args as never, context)
    endFrame(writer, start)
  } catch (error) {
    writer.truncate(start)
    throw error
  }
}

/** Reads what follows a frame's length. Throws {@link MalformedBytes}. */
export function readRequest(frame: Buffer): Request {
  const reader = new ByteReader(frame)
  const id = reader.u32()
  const code = reader.u8()
  const name = commandByCode(code & ~TRACED)
  if (name === undefined) throw new MalformedBytes('unknown command')
  const trace = (code & TRACED) === 0 ? undefined : reader.raw(TRACE_CONTEXT_BYTES)
  return { id, name, args: readFields(reader, commands[name].args) as Args<CommandName>, trace }
}

export function writeConfiguration(writer: ByteWriter, configuration: unknown): void {
  framed(writer, () =>
    writer
      .u32(0)
      .u8(0)
      .raw(Buffer.from(JSON.stringify(configuration), 'utf8')),
  )
}

export function readConfiguration(frame: Buffer): unknown {
  const reader = new ByteReader(frame)
  if (reader.u32() !== 0 || reader.u8() !== 0) throw new MalformedBytes('not a configuration')
  return JSON.parse(reader.raw(reader.remaining).toString('utf8'))
}

const NO_RECORDS: WriteContext = { holdsEkt: () => false }

export function writeResult<C extends CommandName>(
  writer: ByteWriter,
  id: number,
  tokenMicroseconds: number,
  name: C,
  result: Result<C>,
): void {
  framed(writer, () => {
    answerHead(writer, id, 'result', tokenMicroseconds)
    writeFields(writer, commands[name].result as (typeof commands)[C]['result'], result as never, NO_RECORDS)
  })
}

export function writeFault(writer: ByteWriter, id: number, tokenMicroseconds: number, fault: HsmFault): void {
  framed(writer, () => {
    answerHead(writer, id, 'fault', tokenMicroseconds)
    writer.u8(FAULT_KINDS.indexOf(fault.kind)).lp(fault.reason.slice(0, REASON_MAX_BYTES / 4))
  })
}

export function writeNeedRecord(writer: ByteWriter, id: number): void {
  framed(writer, () => answerHead(writer, id, 'need-record', 0))
}

export function writeEvent(writer: ByteWriter, event: unknown): void {
  framed(writer, () => answerHead(writer, 0, 'event', 0).raw(Buffer.from(JSON.stringify(event), 'utf8')))
}

/** Reads what follows a frame's length. Throws {@link MalformedBytes}. */
export function readAnswer(frame: Buffer): Answer {
  const reader = new ByteReader(frame)
  const id = reader.u32()
  const outcome = OUTCOMES[reader.u8()]
  if (outcome === undefined) throw new MalformedBytes('unknown outcome')
  const tokenMicroseconds = reader.u32()
  return { id, outcome, tokenMicroseconds, body: reader }
}

export function readResult<C extends CommandName>(name: C, body: ByteReader): Result<C> {
  return readFields(body, commands[name].result) as Result<C>
}

export function readFault(body: ByteReader): HsmFault {
  const kind: FaultKind | undefined = FAULT_KINDS[body.u8()]
  if (kind === undefined) throw new MalformedBytes('unknown kind of fault')
  return new HsmFault(kind, body.text(REASON_MAX_BYTES))
}

/** The JSON value of an event, as yet unchecked. */
export function readEvent(body: ByteReader): unknown {
  return JSON.parse(body.raw(body.remaining).toString('utf8'))
}

/** Cuts a stream of bytes into frames, whatever way it was split on its road. */
export class FrameSplitter {
  #rest: Buffer = NOTHING

  /**
   * Calls `take` with each whole frame, as a view of the bytes that are returned, and with how many bytes are behind it:
   * whoever must not leave plaintext behind overwrites them. What it kept for itself is overwritten here. Throws
   * {@link MalformedBytes}.
   */
  push(chunk: Buffer, take: (frame: Buffer, bytesBehind: number) => void): Buffer {
    const bytes = this.#rest.length === 0 ? chunk : this.#join(chunk)
    let offset = 0
    while (bytes.length - offset >= LENGTH_BYTES) {
      const length = bytes.readUInt32BE(offset)
      if (length > FRAME_MAX_BYTES) throw new MalformedBytes('frame too long')
      const end = offset + LENGTH_BYTES + length
      if (end > bytes.length) break
      take(bytes.subarray(offset + LENGTH_BYTES, end), bytes.length - end)
      offset = end
    }
    this.#rest = offset === bytes.length ? NOTHING : ownCopy(bytes.subarray(offset))
    return bytes
  }

  #join(chunk: Buffer): Buffer {
    const joined = Buffer.allocUnsafeSlow(this.#rest.length + chunk.length)
    joined.set(this.#rest)
    joined.set(chunk, this.#rest.length)
    this.#rest.fill(0)
    return joined
  }
}

const NOTHING = Buffer.alloc(0)

/** Outside of Node's shared pool, where bytes would outlive their use. */
function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}

function framed(writer: ByteWriter, write: () => unknown): void {
  const start = writer.length
  try {
    writer.u32(0)
    write()
    endFrame(writer, start)
  } catch (error) {
    // A field out of bounds must not leave half a frame in front of the others.
    writer.truncate(start)
    throw error
  }
}

function endFrame(writer: ByteWriter, start: number): void {
  writer.patchU32(writer.length - start - LENGTH_BYTES, start)
}

function answerHead(writer: ByteWriter, id: number, outcome: Outcome, tokenMicroseconds: number): ByteWriter {
  return writer.u32(id).u8(OUTCOMES.indexOf(outcome)).u32(tokenMicroseconds)
}
