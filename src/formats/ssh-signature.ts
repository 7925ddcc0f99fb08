/**
 * SSHSIG, version 1: what `ssh-keygen -Y sign` writes (PROTOCOL.sshsig of OpenSSH).
 *
 * ```
 * field          what it is
 * magic          6 bytes, "SSHSIG"
 * version        u32, 1
 * public key     string: the signer's key in its wire form
 * namespace      string: what the signature is good for
 * reserved       string, empty
 * hash           string, "sha256" or "sha512"
 * signature      string: algorithm and value, over "SSHSIG" + namespace + reserved + hash + H(message)
 * ```
 *
 * Strings have a u32 length before them, in what is signed too. The whole is base64 between two lines of armour.
 *
 * Verified here and not by `ssh-keygen -Y verify`: that needs OpenSSH on the host, files for key list and signature, and
 * trust in an exit code of a program found by its name; the check is the same few strings over node:crypto's `verify`.
 */
import { createHash, verify } from 'node:crypto'
import { ByteReader, ByteWriter, MalformedBytes } from '../base/bytes.ts'
import { decodeStrictBase64, readPositiveInteger, type SshPublicKey } from './ssh-public-key.ts'

export interface SshSignature {
  /** The key that the signature names, in its wire form. Whose it is, is for the caller to find out. */
  readonly publicKey: Buffer
  readonly namespace: string
  readonly hash: SshHash
  /** Algorithm and value, in their wire form. */
  readonly value: Buffer
}

type SshHash = 'sha256' | 'sha512'

const MAGIC = Buffer.from('SSHSIG', 'latin1')
const VERSION = 1
const ARMOUR = /^-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)\n-----END SSH SIGNATURE-----\n?$/
const TEXT_MAX = 16_384
const FIELD_MAX_BYTES = 8_192
const NAME_MAX_BYTES = 256
const ED25519_SIGNATURE_BYTES = 64

/** RFC 8332 3; `ssh-rsa`, with SHA-1, is not among them, as PROTOCOL.sshsig demands. */
const RSA_DIGESTS: Readonly<Record<string, string>> = { 'rsa-sha2-256': 'sha256', 'rsa-sha2-512': 'sha512' }

/** The authenticator's flag that somebody has touched it (WebAuthn 6.1, UP). */
const USER_PRESENT = 1

/** Reads an armoured signature. Throws {@link MalformedBytes}; nothing of it is proven yet. */
export function parseSshSignature(text: string): SshSignature {
  if (text.length > TEXT_MAX) throw new MalformedBytes('too long for an SSH signature')
  const [, body] = ARMOUR.exec(text.replaceAll('\r\n', '\n')) ?? []
  const bytes = body === undefined ? undefined : decodeStrictBase64(body.replaceAll('\n', ''))
  if (bytes === undefined) throw new MalformedBytes('not an SSH signature')
  const reader = new ByteReader(bytes)
  if (!reader.raw(MAGIC.length).equals(MAGIC)) throw new MalformedBytes('not an SSH signature')
  if (reader.u32() !== VERSION) throw new MalformedBytes('an SSH signature of another version')
  const publicKey = reader.lp32(FIELD_MAX_BYTES)
  const namespace = reader.lp32(NAME_MAX_BYTES).toString('utf8')
  if (reader.lp32(NAME_MAX_BYTES).length > 0) throw new MalformedBytes('an SSH signature with a reserved field')
  const hash = reader.lp32(NAME_MAX_BYTES).toString('latin1')
  if (hash !== 'sha256' && hash !== 'sha512') throw new MalformedBytes('an SSH signature with another hash')
  const value = reader.lp32(FIELD_MAX_BYTES)
  reader.end()
  return { publicKey, namespace, hash, value }
}

/**
 * Whether `signer` made the signature, for `namespace`, over exactly this message. Of a key in an authenticator, whether
 * somebody touched it, too. Never throws for what the signature holds.
 */
export function verifySshSignature(
  signature: SshSignature,
  signer: SshPublicKey,
  namespace: string,
  message: Uint8Array,
): boolean {
  if (signature.namespace !== namespace || !signature.publicKey.equals(signer.blob)) return false
  const signed = signedBytes(signature, message)
  try {
    const reader = new ByteReader(signature.value)
    const algorithm = reader.lp32(NAME_MAX_BYTES).toString('latin1')
    const value = reader.lp32(FIELD_MAX_BYTES)
    const covered =
      signer.application === undefined ? signed : readAuthenticatorData(reader, signer.application, signed)
    reader.end()
    return verifyValue(signer, algorithm, value, covered)
  } catch (error) {
    if (error instanceof MalformedBytes) return false
    throw error
  }
}

function signedBytes({ namespace, hash }: SshSignature, message: Uint8Array): Buffer {
  return new ByteWriter()
    .raw(MAGIC)
    .lp32(Buffer.from(namespace, 'utf8'))
    .lp32(Buffer.alloc(0))
    .lp32(Buffer.from(hash, 'latin1'))
    .lp32(createHash(hash).update(message).digest())
    .finish()
}

/** What an authenticator signs (PROTOCOL.u2f of OpenSSH): hash of the application, flags, counter, hash of the message. */
function readAuthenticatorData(reader: ByteReader, application: string, message: Buffer): Buffer {
  const flags = reader.u8()
  const counter = reader.u32()
  if ((flags & USER_PRESENT) === 0) throw new MalformedBytes('signed without anybody present')
  const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest()
  return new ByteWriter().raw(sha256(application)).u8(flags).u32(counter).raw(sha256(message)).finish()
}

function verifyValue({ algorithm, key, scheme }: SshPublicKey, named: string, value: Buffer, signed: Buffer): boolean {
  switch (scheme.kind) {
    case 'ed25519':
      return named === algorithm && value.length === ED25519_SIGNATURE_BYTES && verify(null, signed, key, value)
    case 'ecdsa': {
      if (named !== algorithm) return false
      const rs = ecdsaValue(value, scheme.coordinateBytes)
      return verify(scheme.digest, signed, { key, dsaEncoding: 'ieee-p1363' }, rs)
    }
    case 'rsa': {
      const digest = Object.hasOwn(RSA_DIGESTS, named) ? RSA_DIGESTS[named] : undefined
      return digest !== undefined && verify(digest, signed, key, value)
    }
  }
}

/** r and s as integers (RFC 5656 3.1.2) become r and s of the curve's length, one after the other (IEEE P1363). */
function ecdsaValue(value: Buffer, coordinateBytes: number): Buffer {
  const reader = new ByteReader(value)
  const rs = Buffer.alloc(2 * coordinateBytes)
  for (const end of [coordinateBytes, 2 * coordinateBytes]) {
    const integer = readPositiveInteger(reader, coordinateBytes)
    rs.set(integer, end - integer.length)
  }
  reader.end()
  return rs
}
