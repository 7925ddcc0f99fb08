/**
 * The audit log, format 1 (security.md 2.8): JSON lines, chained by hash. A file begins with a line that says where in which
 * chain it stands; then come events and, between them, checkpoints (audit-checkpoint.ts). Each line ends with one LF.
 *
 * ```
 * {"strongroom":"audit/1","chain":"<32 hex>","file":N,"seq":N,"hash":"<64 hex>"}   the state before the file's first event
 * {"seq":N,"hash":"<64 hex>","event":<event>}                                      an event, in CloudTrail's shape
 * {"checkpoint":"<base64>","signature":"<base64>"}                                 body; ECDSA P-256, DER
 *
 * hash(seq) = SHA-256("strongroom/audit/1" + chainId(16) + u64 seq + hash(seq - 1) + SHA-256(event's bytes))
 * hash(0)   = 32 zero bytes
 * ```
 *
 * Events of a chain are numbered from 1, files too. A line has one spelling: what differs from it by a byte is no line of
 * this format.
 */
import { hash, randomBytes } from 'node:crypto'
import type { ByteWriter } from '../base/bytes.ts'

export const CHAIN_ID_BYTES = 16
export const CHAIN_HASH_BYTES = 32
export const AUDIT_LINE_MAX_BYTES = 512 * 1_024
/** hash(0), in hex. */
export const CHAIN_START = '00'.repeat(CHAIN_HASH_BYTES)

const LABEL = Buffer.from('strongroom/audit/1', 'latin1')
const SEQ_AT = LABEL.length + CHAIN_ID_BYTES
const PREVIOUS_AT = SEQ_AT + 8
const EVENT_AT = PREVIOUS_AT + CHAIN_HASH_BYTES
const LENGTH = EVENT_AT + CHAIN_HASH_BYTES

/** The end of a chain so far: how many events it has, and the hash of the last. Ids and hashes are hex. */
export interface ChainHead {
  readonly chain: string
  readonly seq: number
  readonly hash: string
}

export type AuditLine =
  | ({ readonly kind: 'file'; readonly file: number } & ChainHead)
  | { readonly kind: 'event'; readonly seq: number; readonly hash: string; readonly event: Buffer }
  | { readonly kind: 'checkpoint'; readonly body: Buffer; readonly signature: Buffer }

/** 32 hex digits, at random. */
export function newChainId(): string {
  return randomBytes(CHAIN_ID_BYTES).toString('hex')
}

/** Works out the hashes of one chain; what does not change between events is laid out once. */
export class ChainHasher {
  readonly #input = Buffer.alloc(LENGTH)

  /** `chain` is hex. */
  constructor(chain: string) {
    LABEL.copy(this.#input)
    this.#input.write(chain, LABEL.length, 'hex')
  }

  /** The hash of event `seq`, whose predecessor has the hash `previous`; all in hex. Text is hashed as UTF-8. */
  next(seq: number, previous: string, event: Buffer | string): string {
    const input = this.#input
    // As two halves: a BigInt would be made for each event.
    input.writeUInt32BE(Math.floor(seq / 2 ** 32), SEQ_AT)
    input.writeUInt32BE(seq >>> 0, SEQ_AT + 4)
    input.write(previous, PREVIOUS_AT, 'hex')
    input.write(hash('sha256', event, 'hex'), EVENT_AT, 'hex')
    return hash('sha256', input, 'hex')
  }
}

/** The first line of a file, LF included. */
export function fileLine({ chain, seq, hash }: ChainHead, file: number): string {
  return `{"strongroom":"audit/1","chain":"${chain}","file":${file},"seq":${seq},"hash":"${hash}"}\n`
}

/** Writes the line of an event, LF included. `event` is JSON without line breaks. */
export function writeEventLine(writer: ByteWriter, seq: number, hash: string, event: string): void {
  writer.ascii(`{"seq":${seq},"hash":"${hash}","event":`).utf8(event).ascii('}\n')
}
/** More than the line of an event is longer than the event. */
export const EVENT_LINE_MORE_BYTES = 128

/** The line of a checkpoint, LF included. */
export function checkpointLine(body: Buffer, signature: Buffer): string {
  return `{"checkpoint":"${body.toString('base64')}","signature":"${signature.toString('base64')}"}\n`
}

const HEX_ID = '([0-9a-f]{32})'
const HEX_HASH = '([0-9a-f]{64})'
const NUMBER = '(0|[1-9]\\d{0,14})'
const FILE = new RegExp(
  `^{"strongroom":"audit/1","chain":"${HEX_ID}","file":${NUMBER},"seq":${NUMBER},"hash":"${HEX_HASH}"}$`,
)
const EVENT = new RegExp(`^{"seq":${NUMBER},"hash":"${HEX_HASH}","event":{`)
const CHECKPOINT = /^{"checkpoint":"([A-Za-z0-9+/]+={0,2})","signature":"([A-Za-z0-9+/]+={0,2})"}$/
/** Reads a line without its LF; undefined when it is none of this format. */
export function readAuditLine(line: Buffer): AuditLine | undefined {
  const beginning = line.toString('latin1', 0, EVENT_LINE_MORE_BYTES)
  const event = EVENT.exec(beginning)
  if (event !== null) {
    const [prefix, seq, hash] = event as unknown as [string, string, string]
    if (!line.subarray(-2).equals(BOTH_CLOSED)) return undefined
    // The pattern ends with the event's own brace; the line's last one is not part of it.
    return { kind: 'event', seq: Number(seq), hash, event: line.subarray(prefix.length - 1, -1) }
  }
  const text = line.toString('latin1')
  const file = FILE.exec(text)
  if (file !== null) {
    const [, chain, number, seq, hash] = file as unknown as [string, string, string, string, string]
    return { kind: 'file', chain, file: Number(number), seq: Number(seq), hash }
  }
  const checkpoint = CHECKPOINT.exec(text)
  if (checkpoint === null) return undefined
  const body = Buffer.from(checkpoint[1]!, 'base64')
  const signature = Buffer.from(checkpoint[2]!, 'base64')
  // The last character of base64 has bits that say nothing: only one of its spellings is read.
  return text === checkpointLine(body, signature).slice(0, -1) ? { kind: 'checkpoint', body, signature } : undefined
}

const BOTH_CLOSED = Buffer.from('}}', 'latin1')
