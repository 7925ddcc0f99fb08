/**
 * EKT record, format 1 (security.md 2.4): an HBK wrapped under a domain key, bound to what it belongs to by an
 * HMAC-SHA-256 that the token's domain MAC key makes over every field.
 *
 * ```
 * magic "SRE" 01
 * domainId(16)  u32 dkVersion  u32 macVersion
 * lp(region) lp(account) kid(17) mid(32)
 * lp(keySpec) lp(keyUsage) lp(origin) lp(kdf) lp(wrapScheme) lp(tokenKeyType)
 * u16 trueLength  u8 multiRegion  SHA-256(SPKI) or 32 zero bytes
 * u8 kind: 0  u32 length + wrapped bytes
 *          1  lp(CKA_ID)  u16 count + sorted lp(serial)  commitment(32)        (resident: a token object)
 * MAC(32)
 *
 * MAC = HMAC-SHA-256(domain MAC key, "strongroom/ekt/1" 00 + the bytes between magic and MAC)
 * ```
 *
 * `lp(x)` is a u16 length and the bytes; integers are big-endian. The host builds the MAC input from typed fields,
 * never from bytes it was handed. `kdf` is empty for keys nothing is derived from.
 */
import { ByteReader, ByteWriter, MalformedBytes } from '../base/bytes.ts'
import { KID_BYTES } from '../model/key-id.ts'
import { MID_BYTES } from './ciphertext.ts'

export const DOMAIN_ID_BYTES = 16
export const EKT_MAC_BYTES = 32
export const SPKI_DIGEST_BYTES = 32
/** A wrapped RSA-4096 private key takes about 2,400 bytes; this is the bound for a whole record. */
export const EKT_RECORD_MAX_BYTES = 8_192

const MAGIC = Buffer.from([0x53, 0x52, 0x45, 0x01])
const MAC_LABEL = Buffer.from('strongroom/ekt/1\0', 'latin1')
const NAME_MAX_BYTES = 64
const COMMITMENT_BYTES = 32

export const WRAP_SCHEMES = ['RFC5649', 'RFC3394', 'resident'] as const
export type WrapScheme = (typeof WRAP_SCHEMES)[number]

/** How the HBK's wrapped bytes are to be understood in a token; the record says so, the bytes do not. */
const TOKEN_KEY_TYPES = ['AES', 'GENERIC_SECRET', 'RSA', 'EC', 'EC_EDWARDS', 'ML_KEM'] as const
export type TokenKeyType = (typeof TOKEN_KEY_TYPES)[number]

export interface EktFields {
  readonly domainId: Buffer
  readonly dkVersion: number
  readonly macVersion: number
  readonly region: string
  readonly account: string
  readonly kid: Buffer
  readonly mid: Buffer
  readonly keySpec: string
  readonly keyUsage: string
  readonly origin: string
  /** A name of derivation.ts's KDF_SUITES, or empty. */
  readonly kdf: string
  readonly wrapScheme: string
  readonly tokenKeyType: string
  /** Bytes of the HBK before wrapping: SoftHSM pads what it wraps to a multiple of 8. */
  readonly trueLength: number
  readonly multiRegion: boolean
  /** SHA-256 of the SubjectPublicKeyInfo; 32 zero bytes for secret keys. */
  readonly spkiDigest: Buffer
  readonly body:
    | { readonly kind: 'wrapped'; readonly bytes: Buffer }
    | {
        readonly kind: 'resident'
        readonly ckaId: Buffer
        readonly serials: readonly string[]
        readonly commitment: Buffer
      }
}

const KIND_WRAPPED = 0
const KIND_RESIDENT = 1

/** What the domain MAC key signs for these fields. */
export function ektMacInput(fields: EktFields): Buffer {
  return writeFields(new ByteWriter().raw(MAC_LABEL), fields).finish()
}

/** The record that is stored. */
export function encodeEkt(fields: EktFields, mac: Buffer): Buffer {
  return writeFields(new ByteWriter().raw(MAGIC), fields).fixed(mac, EKT_MAC_BYTES).finish()
}

/** Reads a record; the MAC is not verified here. Throws {@link MalformedBytes}. */
export function decodeEkt(record: Buffer): { fields: EktFields; mac: Buffer } {
  const reader = new ByteReader(record)
  if (!reader.raw(MAGIC.length).equals(MAGIC)) throw new MalformedBytes('not an EKT record')
  const fields: EktFields = {
    domainId: reader.raw(DOMAIN_ID_BYTES),
    dkVersion: reader.u32(),
    macVersion: reader.u32(),
    region: reader.text(NAME_MAX_BYTES),
    account: reader.text(NAME_MAX_BYTES),
    kid: reader.raw(KID_BYTES),
    mid: reader.raw(MID_BYTES),
    keySpec: reader.text(NAME_MAX_BYTES),
    keyUsage: reader.text(NAME_MAX_BYTES),
    origin: reader.text(NAME_MAX_BYTES),
    kdf: reader.text(NAME_MAX_BYTES),
    wrapScheme: reader.text(NAME_MAX_BYTES),
    tokenKeyType: reader.text(NAME_MAX_BYTES),
    trueLength: reader.u16(),
    multiRegion: reader.flag(),
    spkiDigest: reader.raw(SPKI_DIGEST_BYTES),
    body: readBody(reader),
  }
  const mac = reader.raw(EKT_MAC_BYTES)
  reader.end()
  return { fields, mac }
}

/** The domain key version that a record is under, read without its other fields. Throws {@link MalformedBytes}. */
export function dkVersionOf(record: Buffer): number {
  const reader = new ByteReader(record)
  reader.raw(MAGIC.length + DOMAIN_ID_BYTES)
  return reader.u32()
}

function writeFields(writer: ByteWriter, fields: EktFields): ByteWriter {
  const name = (text: string) => writer.lp(text, NAME_MAX_BYTES)
  writer.fixed(fields.domainId, DOMAIN_ID_BYTES).u32(fields.dkVersion).u32(fields.macVersion)
  name(fields.region)
  name(fields.account)
  writer.fixed(fields.kid, KID_BYTES).fixed(fields.mid, MID_BYTES)
  name(fields.keySpec)
  name(fields.keyUsage)
  name(fields.origin)
  name(fields.kdf)
  name(fields.wrapScheme)
  name(fields.tokenKeyType)
  writer
    .u16(fields.trueLength)
    .u8(fields.multiRegion ? 1 : 0)
    .fixed(fields.spkiDigest, SPKI_DIGEST_BYTES)
  if (fields.body.kind === 'wrapped') return writer.u8(KIND_WRAPPED).lp32(fields.body.bytes)
  writer.u8(KIND_RESIDENT).lp(fields.body.ckaId, NAME_MAX_BYTES).u16(fields.body.serials.length)
  for (const serial of fields.body.serials.toSorted(byBytes)) name(serial)
  return writer.fixed(fields.body.commitment, COMMITMENT_BYTES)
}

function readBody(reader: ByteReader): EktFields['body'] {
  const kind = reader.u8()
  if (kind === KIND_WRAPPED) return { kind: 'wrapped', bytes: reader.lp32(EKT_RECORD_MAX_BYTES) }
  if (kind !== KIND_RESIDENT) throw new MalformedBytes('unknown kind of EKT')
  const ckaId = reader.lp(NAME_MAX_BYTES)
  const serials = Array.from({ length: reader.u16() }, () => reader.text(NAME_MAX_BYTES))
  const ascending = serials.every((serial, at) => at === 0 || byBytes(serials[at - 1] ?? '', serial) < 0)
  if (!ascending) throw new MalformedBytes('serials out of order')
  return { kind: 'resident', ckaId, serials, commitment: reader.raw(COMMITMENT_BYTES) }
}

/** By UTF-8 bytes: JavaScript's own order differs beyond the Basic Multilingual Plane. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'))
}
