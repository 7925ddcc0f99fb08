/**
 * Checkpoint of the audit log, format 1 (security.md 2.8): what the audit key of a token signs, so that whoever has its public
 * key alone can tell that nothing up to `seq` was changed.
 *
 * ```
 * body = "strongroom/checkpoint/1" 00 + domainId(16)
 *        chainId(16)  u64 seq  hash(32)                         the head that it is made for
 *        u64 time                                               milliseconds since the Unix epoch
 *        previous(32)                                           SHA-256 of the chain's checkpoint before, or zeros
 *        u64 epoch  anchor(32)                                  of the key store (security.md 2.6), or zeros
 *        u8 count, that many times: chainId(16) u64 seq hash(32)     heads of the daemon's other chains
 *        lane(16)  u64 commands  u64 uses                       what the signing host has done since it started:
 *                                                               commands in all, and those that used an HBK
 *        auditKey(32)                                           SHA-256 of the SubjectPublicKeyInfo that verifies
 *
 * signature = ECDSA on P-256 over SHA-256(body), DER
 * ```
 *
 * The service fills the fields up to the heads of others; the host adds the rest, and signs no body that it did not lay out.
 */
import { createPublicKey, hash, verify } from 'node:crypto'
import { ByteReader, ByteWriter, MalformedBytes } from '../base/bytes.ts'
import { CHAIN_HASH_BYTES, CHAIN_ID_BYTES, type ChainHead } from './audit-chain.ts'
import { DOMAIN_ID_BYTES } from './ekt.ts'

export const ANCHOR_BYTES = 32
export const LANE_ID_BYTES = 16
const AUDIT_KEY_ID_BYTES = 32
export const OTHER_HEADS_MAX = 16
export const CHECKPOINT_MAX_BYTES = 2_048
/** Two integers of 32 bytes, in DER. */
export const CHECKPOINT_SIGNATURE_MAX_BYTES = 80

const LABEL = Buffer.from('strongroom/checkpoint/1\0', 'latin1')
const DIGEST_BYTES = 32

/** Where the key store stood: it is never older than its last anchor. */
export interface StoreAnchor {
  readonly epoch: number
  readonly digest: Buffer
}

export const NO_ANCHOR: StoreAnchor = { epoch: 0, digest: Buffer.alloc(ANCHOR_BYTES) }
/** What stands for the checkpoint before the first. */
export const NO_CHECKPOINT = Buffer.alloc(DIGEST_BYTES)

/** What the service says. */
export interface CheckpointClaims {
  readonly head: ChainHead
  readonly timeMs: number
  readonly previous: Buffer
  readonly anchor: StoreAnchor
  readonly others: readonly ChainHead[]
}

/** What the host knows. */
export interface CheckpointWitness {
  readonly domainId: Buffer
  readonly lane: Buffer
  readonly commands: number
  readonly uses: number
  readonly auditKey: Buffer
}

export type Checkpoint = CheckpointClaims & CheckpointWitness

export function writeCheckpoint(checkpoint: Checkpoint): Buffer {
  const { domainId, head, timeMs, previous, anchor, others, lane, commands, uses, auditKey } = checkpoint
  if (others.length > OTHER_HEADS_MAX)
    throw new RangeError(`${others.length} heads where ${OTHER_HEADS_MAX} are the most`)
  const writer = new ByteWriter().raw(LABEL).fixed(domainId, DOMAIN_ID_BYTES)
  writeHead(writer, head)
  writer.u64(timeMs).fixed(previous, DIGEST_BYTES).u64(anchor.epoch).fixed(anchor.digest, ANCHOR_BYTES)
  writer.u8(others.length)
  for (const other of others) writeHead(writer, other)
  writer.fixed(lane, LANE_ID_BYTES).u64(commands).u64(uses).fixed(auditKey, AUDIT_KEY_ID_BYTES)
  return writer.finish()
}

/** Throws MalformedBytes for what is no checkpoint. */
export function readCheckpoint(body: Buffer): Checkpoint {
  const reader = new ByteReader(body)
  if (!reader.raw(LABEL.length).equals(LABEL)) throw new MalformedBytes('not a checkpoint')
  const domainId = reader.raw(DOMAIN_ID_BYTES)
  const head = readHead(reader)
  const timeMs = reader.u64()
  const previous = reader.raw(DIGEST_BYTES)
  const anchor = { epoch: reader.u64(), digest: reader.raw(ANCHOR_BYTES) }
  const count = reader.u8()
  if (count > OTHER_HEADS_MAX) throw new MalformedBytes('too many heads')
  const others = Array.from({ length: count }, () => readHead(reader))
  const lane = reader.raw(LANE_ID_BYTES)
  const [commands, uses] = [reader.u64(), reader.u64()]
  const auditKey = reader.raw(AUDIT_KEY_ID_BYTES)
  reader.end()
  return { domainId, head, timeMs, previous, anchor, others, lane, commands, uses, auditKey }
}

/** How the next checkpoint names this one. */
export function checkpointDigest(body: Buffer): Buffer {
  return hash('sha256', body, 'buffer')
}

/** What a checkpoint calls the key that verifies it. `publicKey` is SubjectPublicKeyInfo, DER. */
export function auditKeyId(publicKey: Buffer): Buffer {
  return hash('sha256', publicKey, 'buffer')
}

/** Whether the signature over a body is that of the key, SubjectPublicKeyInfo in DER. */
export function isSignedBy(publicKey: Buffer, body: Buffer, signature: Buffer): boolean {
  const key = createPublicKey({ key: publicKey, format: 'der', type: 'spki' })
  return verify('sha256', body, key, signature)
}

function writeHead(writer: ByteWriter, { chain, seq, hash }: ChainHead): void {
  writer.fixed(Buffer.from(chain, 'hex'), CHAIN_ID_BYTES).u64(seq).fixed(Buffer.from(hash, 'hex'), CHAIN_HASH_BYTES)
}

function readHead(reader: ByteReader): ChainHead {
  const chain = reader.raw(CHAIN_ID_BYTES).toString('hex')
  return { chain, seq: reader.u64(), hash: reader.raw(CHAIN_HASH_BYTES).toString('hex') }
}
