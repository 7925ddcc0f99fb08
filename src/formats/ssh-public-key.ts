/**
 * OpenSSH public keys, as `ssh-keygen` writes them into a .pub file: `algorithm base64 comment` (RFC 4253 6.6, RFC 5656
 * 3.1, RFC 8709 4, PROTOCOL.u2f of OpenSSH). A key becomes a JWK for node:crypto, so no ASN.1 is written here; the wire
 * format is strings with a length before them, which ByteReader reads.
 *
 * Not an npm package: those that parse SSH keys (sshpk, ssh2) bring big integers and curves of their own, and none of
 * them verifies SSHSIG.
 */
import { createPublicKey, hash, type KeyObject } from 'node:crypto'
import { ByteReader, MalformedBytes } from '../base/bytes.ts'

/** How a key's signatures are encoded and hashed. */
export type SshKeyScheme =
  | { readonly kind: 'ed25519' }
  | { readonly kind: 'ecdsa'; readonly digest: 'sha256' | 'sha384' | 'sha512'; readonly coordinateBytes: number }
  | { readonly kind: 'rsa' }

export interface SshPublicKey {
  /** Such as `ssh-ed25519`. */
  readonly algorithm: string
  /** The wire form: what signatures name the key by. */
  readonly blob: Buffer
  /** `SHA256:` and base64 without padding, as `ssh-keygen -l` prints it. */
  readonly fingerprint: string
  readonly key: KeyObject
  readonly scheme: SshKeyScheme
  /** Of a key in a FIDO authenticator: what its signatures cover besides the message. */
  readonly application: string | undefined
}

/** A key that is not accepted, and why, for the operator. */
export class UnusableSshKey extends Error {
  override readonly name = 'UnusableSshKey'
}

const TEXT_MAX = 16_384
const BLOB_MAX_BYTES = 8_192
const NAME_MAX_BYTES = 64
const APPLICATION_MAX_BYTES = 1_024
const ED25519_BYTES = 32
const RSA_MIN_BITS = 3_072
const RSA_MAX_BITS = 16_384
/** The least that FIPS 186-5 A.1.1 allows; OpenSSL takes no larger one than 64 bits for such moduli. */
const RSA_MIN_EXPONENT = 65_537n
const RSA_EXPONENT_MAX_BYTES = 8

const CURVES = {
  nistp256: { crv: 'P-256', digest: 'sha256', coordinateBytes: 32 },
  nistp384: { crv: 'P-384', digest: 'sha384', coordinateBytes: 48 },
  nistp521: { crv: 'P-521', digest: 'sha512', coordinateBytes: 66 },
} as const

type Parsed = Pick<SshPublicKey, 'scheme' | 'application'> & { readonly jwk: Readonly<Record<string, string>> }

const PARSERS: Readonly<Record<string, (reader: ByteReader) => Parsed>> = {
  'ssh-ed25519': readEd25519,
  'ecdsa-sha2-nistp256': reader => readEcdsa(reader, 'nistp256'),
  'ecdsa-sha2-nistp384': reader => readEcdsa(reader, 'nistp384'),
  'ecdsa-sha2-nistp521': reader => readEcdsa(reader, 'nistp521'),
  'ssh-rsa': readRsa,
  'sk-ssh-ed25519@openssh.com': reader => ofAuthenticator(reader, readEd25519(reader)),
  'sk-ecdsa-sha2-nistp256@openssh.com': reader => ofAuthenticator(reader, readEcdsa(reader, 'nistp256')),
}

/** Reads the one key of a .pub file, whose comment is dropped. Throws {@link UnusableSshKey}. */
export function parseSshPublicKey(text: string): SshPublicKey {
  if (text.length > TEXT_MAX) throw new UnusableSshKey('this is too long for a public key')
  if (text.includes('PRIVATE KEY')) throw new UnusableSshKey('this is a private key: give the .pub file')
  const [line = '', ...others] = text.split('\n').filter(each => each.trim() !== '' && !each.startsWith('#'))
  if (others.length > 0) throw new UnusableSshKey('the file holds more than one line: give one key alone')
  const [algorithm = '', encoded = ''] = line.trim().split(/[ \t]+/)
  if (algorithm.includes('-cert-')) throw new UnusableSshKey('certificates are not taken: give the key itself')
  const parser = Object.hasOwn(PARSERS, algorithm) ? PARSERS[algorithm] : undefined
  if (parser === undefined)
    throw new UnusableSshKey(`this is no OpenSSH public key of a known kind (${Object.keys(PARSERS).join(', ')})`)
  const blob = decodeStrictBase64(encoded)
  if (blob === undefined) throw new UnusableSshKey('the key is not base64')
  return parseBlob(algorithm, blob, parser)
}

/** One line, as a .pub file holds it, without comment. */
export function formatSshPublicKey({ algorithm, blob }: Pick<SshPublicKey, 'algorithm' | 'blob'>): string {
  return `${algorithm} ${blob.toString('base64')}`
}

/** Standard base64 with its padding, in its one encoding; undefined for anything else. */
export function decodeStrictBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}

/** A positive integer of at most `max` bytes in two's complement, which has one encoding (RFC 4251 5, mpint). */
export function readPositiveInteger(reader: ByteReader, max: number): Buffer {
  const bytes = reader.lp32(max + 1)
  const [first = 0x80, second = 0] = bytes
  if (first >= 0x80 || (first === 0 && second < 0x80)) throw new MalformedBytes('not a positive integer')
  const magnitude = first === 0 ? bytes.subarray(1) : bytes
  if (magnitude.length > max) throw new MalformedBytes('integer too long')
  return magnitude
}

function parseBlob(algorithm: string, blob: Buffer, parser: (reader: ByteReader) => Parsed): SshPublicKey {
  try {
    if (blob.length > BLOB_MAX_BYTES) throw new MalformedBytes('key too long')
    const reader = new ByteReader(blob)
    if (reader.lp32(NAME_MAX_BYTES).toString('latin1') !== algorithm) throw new MalformedBytes('another algorithm')
    const { jwk, scheme, application } = parser(reader)
    reader.end()
    // OpenSSL refuses a point that is not on its curve.
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    const fingerprint = `SHA256:${hash('sha256', blob, 'base64').replace(/=+$/, '')}`
    return { algorithm, blob, fingerprint, key, scheme, application }
  } catch (error) {
    if (error instanceof UnusableSshKey) throw error
    throw new UnusableSshKey(`the key is damaged (${(error as Error).message})`, { cause: error })
  }
}

function readEd25519(reader: ByteReader): Parsed {
  const x = reader.lp32(ED25519_BYTES)
  if (x.length !== ED25519_BYTES) throw new MalformedBytes('not an Ed25519 key')
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: x.toString('base64url') }
  return { jwk, scheme: { kind: 'ed25519' }, application: undefined }
}

function readEcdsa(reader: ByteReader, name: keyof typeof CURVES): Parsed {
  const { crv, digest, coordinateBytes } = CURVES[name]
  if (reader.lp32(NAME_MAX_BYTES).toString('latin1') !== name) throw new MalformedBytes('another curve')
  const point = reader.lp32(1 + 2 * coordinateBytes)
  // SEC 1 2.3.3: uncompressed only, as RFC 5656 3.1 asks of everybody.
  if (point.length !== 1 + 2 * coordinateBytes || point[0] !== 4) throw new MalformedBytes('not an uncompressed point')
  const coordinate = (at: number) => point.subarray(at, at + coordinateBytes).toString('base64url')
  const jwk = { kty: 'EC', crv, x: coordinate(1), y: coordinate(1 + coordinateBytes) }
  return { jwk, scheme: { kind: 'ecdsa', digest, coordinateBytes }, application: undefined }
}

function readRsa(reader: ByteReader): Parsed {
  const e = readPositiveInteger(reader, RSA_EXPONENT_MAX_BYTES)
  const n = readPositiveInteger(reader, RSA_MAX_BITS / 8)
  const modulusBits = BigInt(`0x${n.toString('hex')}`).toString(2).length
  if (modulusBits < RSA_MIN_BITS)
    throw new UnusableSshKey(`the RSA key has ${modulusBits} bits and needs ${RSA_MIN_BITS}`)
  const exponent = BigInt(`0x${e.toString('hex')}`)
  if (exponent < RSA_MIN_EXPONENT || exponent % 2n === 0n)
    throw new UnusableSshKey(
      `the RSA key has the exponent ${exponent} and needs an odd one of ${RSA_MIN_EXPONENT} or more`,
    )
  const jwk = { kty: 'RSA', e: e.toString('base64url'), n: n.toString('base64url') }
  return { jwk, scheme: { kind: 'rsa' }, application: undefined }
}

function ofAuthenticator(reader: ByteReader, parsed: Parsed): Parsed {
  return { ...parsed, application: reader.lp32(APPLICATION_MAX_BYTES).toString('utf8') }
}
