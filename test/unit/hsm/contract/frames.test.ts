import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { ByteReader, ByteWriter, MalformedBytes } from '../../../../src/base/bytes.ts'
import {
  type Args,
  CIPHERTEXT_MAX_BYTES,
  COMMAND_NAMES,
  type CommandName,
  commandByCode,
  commands,
  IMPORT_OUTCOMES,
  type Result,
} from '../../../../src/hsm/contract/commands.ts'
import { FAULT_KINDS, HsmFault } from '../../../../src/hsm/contract/fault.ts'
import type { WriteContext } from '../../../../src/hsm/contract/fields.ts'
import {
  type Answer,
  FRAME_MAX_BYTES,
  FrameSplitter,
  readAnswer,
  readConfiguration,
  readEvent,
  readFault,
  readRequest,
  readResult,
  TRACE_CONTEXT_BYTES,
  writeConfiguration,
  writeEvent,
  writeFault,
  writeNeedRecord,
  writeRequest,
  writeResult,
} from '../../../../src/hsm/contract/frames.ts'

const HOLDS_NONE: WriteContext = { holdsEkt: () => false }
const RECORD_MAX_BYTES = 8_192

const buffer = (minLength: number, maxLength = minLength) =>
  fc.uint8Array({ minLength, maxLength }).map(value => Buffer.from(value))
const upTo = (maxLength: number) => buffer(0, Math.min(maxLength, 100))
const u16 = fc.integer({ min: 0, max: 0xffff })
const u48 = fc.integer({ min: 0, max: 2 ** 48 - 1 })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const name = fc.stringMatching(/^[A-Za-z0-9_-]{0,64}$/)
const digest = buffer(32)
const ekt = fc.record({ digest, record: buffer(1, 200) })
const publicKey = upTo(1_024)
const owner = { accessKeyId: name, principalId: name, account: name }
const scope = { date: fc.stringMatching(/^\d{8}$/), region: name, service: name }
const chainHead = { chain: buffer(16), seq: u48, head: digest }
const row = { table: name, primaryKey: name, generation: fc.nat(), content: digest }
const nothing = fc.constant({})

/** Arguments and results of every command; one that is missing does not compile. */
const samples: { readonly [C in CommandName]: readonly [fc.Arbitrary<Args<C>>, fc.Arbitrary<Result<C>>] } = {
  createBackingKey: [
    fc.record({ account: name, kid: buffer(17), keySpec: name, keyUsage: name }),
    fc.record({ record: upTo(RECORD_MAX_BYTES), mid: digest, publicKey }),
  ],
  sign: [fc.record({ ekt, algorithm: name, bytes: upTo(4_096) }), fc.record({ signature: upTo(512) })],
  verify: [
    fc.record({ ekt, publicKey, algorithm: name, bytes: upTo(4_096), signature: upTo(CIPHERTEXT_MAX_BYTES) }),
    fc.record({ valid: fc.boolean() }),
  ],
  decapsulate: [fc.record({ ekt, ciphertext: upTo(CIPHERTEXT_MAX_BYTES) }), fc.record({ secret: upTo(66) })],
  checkPublicKey: [fc.record({ ekt, publicKey }), fc.record({ matches: fc.boolean() })],
  verifyMac: [
    fc.record({ ekt, message: upTo(4_096), mac: upTo(CIPHERTEXT_MAX_BYTES) }),
    fc.record({ valid: fc.boolean() }),
  ],
  decryptRsa: [
    fc.record({ ekt, algorithm: name, ciphertext: upTo(CIPHERTEXT_MAX_BYTES) }),
    fc.record({ plaintext: upTo(4_096) }),
  ],
  deriveSharedSecret: [fc.record({ ekt, peer: upTo(2 * CIPHERTEXT_MAX_BYTES) }), fc.record({ secret: upTo(66) })],
  generateDataKeyPair: [
    fc.record({ ekt, pairSpec: name, contextHash: digest, plaintextWanted: fc.boolean() }),
    fc.record({ publicKey, privateKey: upTo(4_096), blob: upTo(CIPHERTEXT_MAX_BYTES) }),
  ],
  reEncryptRsa: [
    fc.record({
      source: ekt,
      sourceAlgorithm: name,
      blob: upTo(CIPHERTEXT_MAX_BYTES),
      sourceContextHash: digest,
      destination: ekt,
      destinationAlgorithm: name,
      destinationPublicKey: publicKey,
      destinationContextHash: digest,
    }),
    fc.record({ blob: upTo(CIPHERTEXT_MAX_BYTES) }),
  ],
  generateDataKey: [
    fc.record({ ekt, lengthBytes: u16, contextHash: digest, plaintextWanted: fc.boolean() }),
    fc.record({ blob: upTo(CIPHERTEXT_MAX_BYTES), plaintext: upTo(1_024) }),
  ],
  encrypt: [
    fc.record({ ekt, plaintext: upTo(4_096), contextHash: digest }),
    fc.record({ blob: upTo(CIPHERTEXT_MAX_BYTES) }),
  ],
  decrypt: [
    fc.record({ ekt, blob: upTo(CIPHERTEXT_MAX_BYTES), contextHash: digest }),
    fc.record({ plaintext: upTo(CIPHERTEXT_MAX_BYTES) }),
  ],
  reEncrypt: [
    fc.record({
      source: ekt,
      blob: upTo(CIPHERTEXT_MAX_BYTES),
      sourceContextHash: digest,
      destination: ekt,
      destinationContextHash: digest,
    }),
    fc.record({ blob: upTo(CIPHERTEXT_MAX_BYTES) }),
  ],
  createResidentKey: [
    fc.record({ account: name, kid: buffer(17), keySpec: name, keyUsage: name, ckaId: digest }),
    fc.record({ full: fc.boolean(), record: upTo(RECORD_MAX_BYTES), mid: buffer(0, 32), publicKey }),
  ],
  createImportKey: [
    fc.record({
      account: name,
      kid: buffer(17),
      keySpec: name,
      algorithm: name,
      importId: buffer(16),
      notAfterMs: u48,
    }),
    fc.record({ record: upTo(RECORD_MAX_BYTES), publicKey, mac: digest }),
  ],
  importKeyMaterial: [
    fc.record({
      ...{ ekt, algorithm: name, importId: buffer(16), notAfterMs: u48, mac: digest },
      ...{ materialSpec: name, materialUsage: name, wrapped: upTo(CIPHERTEXT_MAX_BYTES) },
      ckaId: buffer(0, 32),
    }),
    fc.record({
      outcome: fc.constantFrom(...IMPORT_OUTCOMES),
      ...{ record: upTo(RECORD_MAX_BYTES), mid: upTo(32), publicKey, commitment: upTo(32) },
    }),
  ],
  destroyResidentKey: [fc.record({ ekt }), nothing],
  listResidentKeys: [fc.record({ after: buffer(0, 32) }), fc.record({ ckaIds: upTo(32_000) })],
  generateRandom: [fc.record({ lengthBytes: u16 }), fc.record({ random: upTo(1_024) })],
  generateMac: [fc.record({ ekt, message: upTo(4_096) }), fc.record({ mac: upTo(64) })],
  createAccessKeySecret: [fc.record({ ekt, ...owner }), fc.record({ secret: buffer(0, 64), sealed: upTo(256) })],
  openSigningKey: [fc.record({ ekt, sealed: upTo(256), ...owner, ...scope }), fc.record({ signingKey: digest })],
  evict: [fc.record({ digest }), nothing],
  status: [
    nothing,
    fc.record({
      ...{ cachedHbks: u32, openSessions: u32, residentMemoryMb: u32 },
      ...{ cpuMicroseconds: u48, hbkImports: u48 },
    }),
  ],
  sealSession: [
    fc.record({ ekt, accessKeyId: name, terms: upTo(4_096) }),
    fc.record({ secret: upTo(64), sealed: upTo(4_096) }),
  ],
  openSession: [
    fc.record({ ekt, sealed: upTo(4_096), accessKeyId: name, ...scope }),
    fc.record({ signingKey: digest, terms: upTo(4_096) }),
  ],
  macRows: [
    fc.record({ rows: fc.array(fc.record(row), { maxLength: 64 }) }),
    fc.record({ macVersion: u32, macs: upTo(2_048) }),
  ],
  verifyRows: [
    fc.record({ rows: fc.array(fc.record({ ...row, macVersion: u32, mac: digest }), { maxLength: 64 }) }),
    fc.record({ verdicts: upTo(64) }),
  ],
  readAnchor: [fc.constant({}), fc.record({ epoch: fc.maxSafeNat(), digest })],
  writeAnchor: [fc.record({ epoch: fc.maxSafeNat(), digest }), fc.record({ written: fc.boolean() })],
  signCheckpoint: [
    fc.record({
      ...chainHead,
      ...{ timeMs: u48, previous: digest, epoch: u48, anchor: digest },
      others: fc.array(fc.record(chainHead), { maxLength: 16 }),
    }),
    fc.record({ body: upTo(2_048), signature: upTo(80) }),
  ],
}

/** What a reader of the stream is given: the frames, without their lengths. */
function framesOf(writer: ByteWriter): Buffer[] {
  const frames: Buffer[] = []
  new FrameSplitter().push(writer.finish(), frame => frames.push(frame))
  return frames
}

function frameOf(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter()
  write(writer)
  const frames = framesOf(writer)
  expect(frames).toHaveLength(1)
  return frames[0]!
}

const answerOf = (write: (writer: ByteWriter) => void): Answer => readAnswer(frameOf(write))

describe('the commands', () => {
  it('have codes of their own, above 0, which is the configuration', () => {
    const codes = COMMAND_NAMES.map(name => commands[name].code)
    expect(new Set(codes).size).toBe(codes.length)
    expect(Math.min(...codes)).toBe(1)
    for (const name of COMMAND_NAMES) expect(commandByCode(commands[name].code)).toBe(name)
    expect(commandByCode(0)).toBeUndefined()
    expect(commandByCode(255)).toBeUndefined()
    // The eighth bit says that a command is traced.
    expect(Math.max(...codes)).toBeLessThan(128)
  })

  it('each have a deadline', () => {
    for (const name of COMMAND_NAMES) expect(commands[name].deadlineMs).toBeGreaterThan(0)
  })
})

describe('a request', () => {
  it.each(COMMAND_NAMES)('of %s reads back', command => {
    const [args] = samples[command] as readonly [fc.Arbitrary<Args<CommandName>>, unknown]
    fc.assert(
      fc.property(u32, args, (id, args) => {
        const frame = frameOf(writer => writeRequest(writer, id, command, args as never, HOLDS_NONE))
        expect(readRequest(frame)).toEqual({ id, name: command, args })
      }),
      { numRuns: 30 },
    )
  })

  it.each(COMMAND_NAMES)('of %s is refused wherever it is cut, and with a byte more', command => {
    const [args] = samples[command] as readonly [fc.Arbitrary<Args<CommandName>>, unknown]
    const [sample] = fc.sample(args, { numRuns: 1, seed: 1 })
    const frame = frameOf(writer => writeRequest(writer, 1, command, sample as never, HOLDS_NONE))
    for (let length = 0; length < frame.length; length++) {
      expect(() => readRequest(frame.subarray(0, length))).toThrow(MalformedBytes)
    }
    expect(() => readRequest(Buffer.concat([frame, Buffer.of(0)]))).toThrow(MalformedBytes)
  })

  it('has the layout that frames.ts draws', () => {
    const writer = new ByteWriter()
    writeRequest(writer, 0x01020304, 'generateRandom', { lengthBytes: 32 }, HOLDS_NONE)
    expect(writer.finish().toString('hex')).toBe('00000007' + '01020304' + '06' + '0020')
  })

  it('that is traced carries its context before its arguments, and is refused without all of it', () => {
    const trace = Buffer.alloc(TRACE_CONTEXT_BYTES, 7)
    const args = { lengthBytes: 32 }
    const frame = frameOf(writer => writeRequest(writer, 0x01020304, 'generateRandom', args, HOLDS_NONE, trace))
    expect(frame.toString('hex')).toBe(`01020304${'86'}${'07'.repeat(24)}0020`)
    expect(readRequest(frame)).toEqual({ id: 0x01020304, name: 'generateRandom', args, trace })
    for (let length = 0; length < frame.length; length++) {
      expect(() => readRequest(frame.subarray(0, length))).toThrow(MalformedBytes)
    }
    const short = () => writeRequest(new ByteWriter(), 1, 'generateRandom', args, HOLDS_NONE, trace.subarray(1))
    expect(short).toThrow()
  })

  it('of an unknown command is refused', () => {
    expect(() => readRequest(Buffer.from('00000001ff', 'hex'))).toThrow('unknown command')
    expect(() => readRequest(Buffer.from('0000000100', 'hex'))).toThrow('unknown command')
  })

  it('fits into a frame when every field is as long as it may be', () => {
    const digest = Buffer.alloc(32)
    const ekt = { digest, record: Buffer.alloc(RECORD_MAX_BYTES) }
    const args: Args<'reEncrypt'> = {
      source: ekt,
      blob: Buffer.alloc(CIPHERTEXT_MAX_BYTES),
      sourceContextHash: digest,
      destination: ekt,
      destinationContextHash: digest,
    }
    const frame = frameOf(writer => writeRequest(writer, 1, 'reEncrypt', args, HOLDS_NONE))
    expect(frame.length).toBeLessThan(FRAME_MAX_BYTES)
    expect(readRequest(frame).args).toEqual(args)
  })
})

describe('an answer', () => {
  it.each(COMMAND_NAMES)('with the result of %s reads back', command => {
    const [, result] = samples[command] as readonly [unknown, fc.Arbitrary<Result<CommandName>>]
    fc.assert(
      fc.property(u32, u32, result, (id, microseconds, result) => {
        const answer = answerOf(writer => writeResult(writer, id, microseconds, command, result as never))
        expect(answer).toMatchObject({ id, outcome: 'result', tokenMicroseconds: microseconds })
        const body = answer.body.raw(answer.body.remaining)
        const longer = Buffer.concat([body, Buffer.of(0)])
        expect(readResult(command, new ByteReader(body))).toEqual(result)
        expect(() => readResult(command, new ByteReader(longer))).toThrow(MalformedBytes)
      }),
      { numRuns: 30 },
    )
  })

  it.each(FAULT_KINDS)('with a fault of kind %s reads back', kind => {
    const answer = answerOf(writer => writeFault(writer, 7, 99, new HsmFault(kind, 'CKR_GENERAL_ERROR')))
    expect(answer).toMatchObject({ id: 7, outcome: 'fault', tokenMicroseconds: 99 })
    const fault = readFault(answer.body)
    expect(fault).toBeInstanceOf(HsmFault)
    expect(fault).toMatchObject({ kind, reason: 'CKR_GENERAL_ERROR', message: `${kind}: CKR_GENERAL_ERROR` })
  })

  it('cuts a reason that is too long, whatever its characters, so that it can be read', () => {
    for (const character of ['a', 'é', '\uffee', '\u{1f511}']) {
      const { body } = answerOf(writer => writeFault(writer, 1, 0, new HsmFault('token', character.repeat(10_000))))
      expect(readFault(body).reason.startsWith(character.repeat(50))).toBe(true)
    }
  })

  it('that asks for a record has no body', () => {
    const { body, ...answer } = answerOf(writer => writeNeedRecord(writer, 5))
    expect(answer).toEqual({ id: 5, outcome: 'need-record', tokenMicroseconds: 0 })
    expect(body.remaining).toBe(0)
  })

  it('with an event has id 0 and JSON', () => {
    const event = { type: 'failed', reason: 'é' }
    const answer = answerOf(writer => writeEvent(writer, event))
    expect(answer).toMatchObject({ id: 0, outcome: 'event' })
    expect(readEvent(answer.body)).toEqual(event)
  })

  it('of an unknown outcome or kind of fault is refused, and one that is cut', () => {
    expect(() => readAnswer(Buffer.from('000000010400000000', 'hex'))).toThrow('unknown outcome')
    expect(() => readFault(new ByteReader(Buffer.from('050000', 'hex')))).toThrow('unknown kind of fault')
    expect(() => readFault(new ByteReader(Buffer.alloc(0)))).toThrow(MalformedBytes)
    for (let length = 0; length < 9; length++) expect(() => readAnswer(Buffer.alloc(length))).toThrow(MalformedBytes)
  })
})

describe('the configuration', () => {
  it('reads back, and is no request', () => {
    const configuration = { token: { uri: 'pkcs11:token=é' }, cachedHbks: 1_000 }
    const frame = frameOf(writer => writeConfiguration(writer, configuration))
    expect(readConfiguration(frame)).toEqual(configuration)
    expect(() => readRequest(frame)).toThrow(MalformedBytes)
  })

  it('is refused when it is a request', () => {
    const frame = frameOf(writer => writeRequest(writer, 0, 'status', {}, HOLDS_NONE))
    expect(() => readConfiguration(frame)).toThrow('not a configuration')
    const other = frameOf(writer => writeRequest(writer, 1, 'status', {}, HOLDS_NONE))
    expect(() => readConfiguration(other)).toThrow('not a configuration')
  })
})

describe('FrameSplitter', () => {
  const bodies = ['', 'a', 'bc', 'x'.repeat(300)].map(text => Buffer.from(text))
  const stream = streamOf(bodies)

  it('gives the frames of a stream in one piece', () => {
    expect(split([stream])).toEqual(bodies)
  })

  it('says how many bytes are behind each frame', () => {
    const behind: number[] = []
    new FrameSplitter().push(stream, (_frame, bytesBehind) => behind.push(bytesBehind))
    expect(behind).toEqual([4 + 1 + 4 + 2 + 4 + 300, 4 + 2 + 4 + 300, 4 + 300, 0])
  })

  it('gives the same frames when the stream is cut in two at any byte', () => {
    for (let at = 0; at <= stream.length; at++) {
      expect(split([stream.subarray(0, at), stream.subarray(at)])).toEqual(bodies)
    }
  })

  it('gives the same frames byte by byte', () => {
    expect(split(Array.from(stream, byte => Buffer.of(byte)))).toEqual(bodies)
  })

  it('gives the same frames however the stream is cut', () => {
    const frames = fc.array(buffer(0, 60), { maxLength: 12 })
    const cuts = fc.array(fc.nat({ max: 900 }), { maxLength: 20 })
    fc.assert(
      fc.property(frames, cuts, (frames, cuts) => {
        const stream = streamOf(frames)
        const bounds = [0, ...cuts.map(cut => cut % (stream.length + 1)).toSorted((a, b) => a - b), stream.length]
        const chunks = bounds.slice(1).map((end, index) => stream.subarray(bounds[index], end))
        expect(split(chunks)).toEqual(frames)
      }),
    )
  })

  it('does not depend on a chunk after it has been pushed', () => {
    const frames: Buffer[] = []
    const splitter = new FrameSplitter()
    const chunk = Buffer.from(stream.subarray(0, 20))
    splitter.push(chunk, frame => frames.push(Buffer.from(frame)))
    chunk.fill(0xff)
    splitter.push(stream.subarray(20), frame => frames.push(Buffer.from(frame)))
    expect(frames).toEqual(bodies)
  })

  it('takes a frame of the longest length and refuses one byte more as soon as it is announced', () => {
    expect(split([streamOf([Buffer.alloc(FRAME_MAX_BYTES)])])).toEqual([Buffer.alloc(FRAME_MAX_BYTES)])
    const header = Buffer.alloc(4)
    header.writeUInt32BE(FRAME_MAX_BYTES + 1)
    expect(() => split([header])).toThrow('frame too long')
    expect(() => split([header.subarray(0, 3), header.subarray(3)])).toThrow(MalformedBytes)
  })

  it('gives nothing of a frame that is not whole', () => {
    for (let length = 0; length < 8; length++)
      expect(split([streamOf([Buffer.from('abcd')]).subarray(0, length)])).toEqual([])
  })

  function streamOf(frames: readonly Buffer[]): Buffer {
    const writer = new ByteWriter()
    for (const frame of frames) writer.lp32(frame)
    return writer.finish()
  }

  function split(chunks: readonly Buffer[]): Buffer[] {
    const frames: Buffer[] = []
    const splitter = new FrameSplitter()
    for (const chunk of chunks) splitter.push(chunk, frame => frames.push(Buffer.from(frame)))
    return frames
  }
})
