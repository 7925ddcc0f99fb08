/**
 * Session tokens of temporary credentials (security.md 2.7), format 1: sealed, not stored.
 *
 * ```
 * token  = base64url(sealed session + gate(16)), no padding
 *
 * sealed session
 * offset  bytes
 *      0      1  01
 *      1     32  mid of the daemon's HBK for sessions, whose EKT also says the suite
 *     33     16  N
 *     49     12  IV of AES-256-GCM
 *     61  n + 16 ciphertext and tag
 *
 * AAD     = "strongroom/session/1" + bytes 0..48
 * payload = lp(access key id) lp(secret) + terms (session-terms.ts)
 * gate    = HMAC-SHA-256(gate key, "strongroom/session-gate/1" 00 + sealed session), its first 16 bytes
 * ```
 *
 * The gate key is in the service's memory: what does not pass the gate never reaches a token.
 */
import { createHmac } from 'node:crypto'
import { ByteReader, ByteWriter, equalConstantTime, MalformedBytes } from '../base/bytes.ts'
import { IV_BYTES, MID_BYTES, NONCE_BYTES, TAG_BYTES } from './ciphertext.ts'

const VERSION = 1
const AAD_LABEL = 'strongroom/session/1'
const GATE_LABEL = Buffer.from('strongroom/session-gate/1\0', 'latin1')
const GATE_BYTES = 16
const HEADER_BYTES = 1 + MID_BYTES + NONCE_BYTES + IV_BYTES
const CREDENTIAL_MAX_BYTES = 128

/** All that a session may be limited by and tagged with. */
export const SESSION_TERMS_MAX_BYTES = 4_096
export const SEALED_SESSION_MAX_BYTES =
  HEADER_BYTES + 2 * (2 + CREDENTIAL_MAX_BYTES) + SESSION_TERMS_MAX_BYTES + TAG_BYTES
/** Room for it in the headers of a request is what bounds the terms. */
export const SESSION_TOKEN_MAX_CHARACTERS = Math.ceil(((SEALED_SESSION_MAX_BYTES + GATE_BYTES) * 4) / 3)

export interface SealedSession {
  readonly mid: Buffer
  readonly nonce: Buffer
  readonly iv: Buffer
  /** Ciphertext and tag. */
  readonly sealed: Buffer
}

export interface SessionPayload {
  readonly accessKeyId: string
  readonly secret: Buffer
  readonly terms: Buffer
}

export function encodeSealedSession({ mid, nonce, iv, sealed }: SealedSession): Buffer {
  return writeHeader(new ByteWriter(), { mid, nonce }).fixed(iv, IV_BYTES).raw(sealed).finish()
}

/** Throws {@link MalformedBytes}. */
export function decodeSealedSession(bytes: Buffer): SealedSession {
  const reader = new ByteReader(bytes)
  if (reader.u8() !== VERSION) throw new MalformedBytes('not a session of a known format')
  const mid = reader.raw(MID_BYTES)
  const nonce = reader.raw(NONCE_BYTES)
  const iv = reader.raw(IV_BYTES)
  const sealed = reader.raw(reader.remaining)
  if (sealed.length <= TAG_BYTES) throw new MalformedBytes('truncated')
  return { mid, nonce, iv, sealed }
}

export function sessionAad(head: Pick<SealedSession, 'mid' | 'nonce'>): Buffer {
  return writeHeader(new ByteWriter(96).ascii(AAD_LABEL), head).finish()
}

/** The writer's own copies are in the result, which the caller wipes. */
export function encodeSessionPayload({ accessKeyId, secret, terms }: SessionPayload): Buffer {
  return new ByteWriter(SEALED_SESSION_MAX_BYTES)
    .lp(accessKeyId, CREDENTIAL_MAX_BYTES)
    .lp(secret, CREDENTIAL_MAX_BYTES)
    .raw(terms)
    .finish()
}

/** Views of the payload. Throws {@link MalformedBytes}. */
export function decodeSessionPayload(payload: Buffer): SessionPayload {
  const reader = new ByteReader(payload)
  const accessKeyId = reader.text(CREDENTIAL_MAX_BYTES)
  const secret = reader.lp(CREDENTIAL_MAX_BYTES)
  return { accessKeyId, secret, terms: reader.raw(reader.remaining) }
}

/** What a caller is given. */
export function encodeSessionToken(sealed: Buffer, gateKey: Buffer): string {
  return Buffer.concat([sealed, gateOf(sealed, gateKey)]).toString('base64url')
}

/** The sealed session of a token that this gate key let out; undefined for any other text. */
export function sealedSessionOf(token: string, gateKey: Buffer): Buffer | undefined {
  if (token.length > SESSION_TOKEN_MAX_CHARACTERS) return undefined
  const bytes = Buffer.from(token, 'base64url')
  // Buffer skips what is not base64url and ignores left-over bits: a token has one spelling.
  if (bytes.length <= HEADER_BYTES + TAG_BYTES + GATE_BYTES || bytes.toString('base64url') !== token) return undefined
  const sealed = bytes.subarray(0, -GATE_BYTES)
  return equalConstantTime(gateOf(sealed, gateKey), bytes.subarray(-GATE_BYTES)) ? sealed : undefined
}

function gateOf(sealed: Buffer, gateKey: Buffer): Buffer {
  return createHmac('sha256', gateKey).update(GATE_LABEL).update(sealed).digest().subarray(0, GATE_BYTES)
}

function writeHeader(writer: ByteWriter, { mid, nonce }: Pick<SealedSession, 'mid' | 'nonce'>): ByteWriter {
  return writer.u8(VERSION).fixed(mid, MID_BYTES).fixed(nonce, NONCE_BYTES)
}
