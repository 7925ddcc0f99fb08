/**
 * What is done with key pairs. The private half works in a token; the public half works here, with node:crypto, once the
 * crypto world has said that it is the one that the EKT's MAC covers: the store could hold somebody else's.
 */
import { constants, createPublicKey, encapsulate, hash, type KeyObject, publicEncrypt, verify } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Args, CommandName, Result } from '../hsm/contract/commands.ts'
import {
  isOaep,
  type MessageType,
  OAEP_HASH,
  type OaepAlgorithm,
  oaepMaxBytes,
  type SigningAlgorithm,
  type SigningAlgorithmFacts,
  signingFacts,
  signingInputs,
  signingNeeds,
} from '../model/algorithms.ts'
import { KmsError } from '../model/errors.ts'
import { currentMaterial, type KmsKey } from '../model/key.ts'
import type { KeySpec } from '../model/key-specs.ts'

/** One HSM command with the current material of a key. Throws KmsError. */
export type CallHsm = <C extends CommandName>(key: KmsKey, name: C, args: Args<C>) => Promise<Result<C>>

/** What a caller wants signed, or says was. */
export interface ToSign {
  readonly algorithm: SigningAlgorithm
  readonly messageType: MessageType
  readonly message: Buffer
}

const PUBLIC_KEYS_MAX = 10_000
const BITS_PER_BYTE = 8

export class KeyPairs {
  readonly #call: CallHsm
  /** By the digest of the EKT that fixes them. */
  readonly #publicKeys = new LRUCache<string, KeyObject>({ max: PUBLIC_KEYS_MAX })

  constructor(call: CallHsm) {
    this.#call = call
  }

  async sign(key: KmsKey, wanted: ToSign): Promise<Buffer> {
    const { algorithm } = wanted
    const bytes = signedBytes(wanted, factsOf(wanted))
    const { signature } = await this.#call(key, 'sign', { ekt: currentMaterial(key).ekt, algorithm, bytes })
    return signature
  }

  /** Whether a signature is good. Messages are verified here, digests in the token: OpenSSL's API hashes by itself. */
  async verify(key: KmsKey, claimed: ToSign, signature: Buffer): Promise<boolean> {
    const facts = factsOf(claimed)
    const publicKey = await this.publicKey(key)
    if (claimed.messageType === 'RAW') return verifies(publicKey, facts, claimed.message, signature)
    const bytes = signedBytes(claimed, facts)
    const { algorithm } = claimed
    const args = { ekt: currentMaterial(key).ekt, publicKey: spkiOf(key), algorithm, bytes, signature }
    const { valid } = await this.#call(key, 'verify', args)
    return valid
  }

  /** Throws KmsError ValidationException for a plaintext that the modulus has no room for. */
  async encrypt(key: KmsKey, algorithm: OaepAlgorithm, plaintext: Buffer): Promise<Buffer> {
    const publicKey = await this.publicKey(key)
    requireRoom(publicKey, key.spec, algorithm, plaintext.length)
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    return publicEncrypt({ key: publicKey, padding, oaepHash: OAEP_HASH[algorithm] }, plaintext)
  }

  /** The caller wipes the plaintext. Throws KmsError InvalidCiphertextException. */
  async decrypt(key: KmsKey, algorithm: OaepAlgorithm, ciphertext: Buffer): Promise<Buffer> {
    const args = { ekt: currentMaterial(key).ekt, algorithm, ciphertext }
    const { plaintext } = await this.#call(key, 'decryptRsa', args)
    return plaintext
  }

  /** The x-coordinate of ECDH. The caller wipes it. Throws KmsError ValidationException for a key of another curve. */
  async deriveSharedSecret(key: KmsKey, peer: Buffer): Promise<Buffer> {
    requireSameCurve(await this.publicKey(key), peer)
    const { secret } = await this.#call(key, 'deriveSharedSecret', { ekt: currentMaterial(key).ekt, peer })
    return secret
  }

  /** A secret of 32 bytes, and its ciphertext by ML-KEM. The caller wipes the secret. */
  async encapsulate(key: KmsKey): Promise<{ secret: Buffer; ciphertext: Buffer }> {
    const { sharedKey, ciphertext } = encapsulate(await this.publicKey(key))
    return { secret: Buffer.from(sharedKey), ciphertext: Buffer.from(ciphertext) }
  }

  /** The caller wipes the secret. Throws KmsError InvalidCiphertextException for a ciphertext of another length. */
  async decapsulate(key: KmsKey, ciphertext: Buffer): Promise<Buffer> {
    const { secret } = await this.#call(key, 'decapsulate', { ekt: currentMaterial(key).ekt, ciphertext })
    return secret
  }

  /** Throws KmsError ValidationException when OAEP under this key has no room for so many bytes. */
  async requireRoom(key: KmsKey, algorithm: string, lengthBytes: number): Promise<void> {
    if (isOaep(algorithm)) requireRoom(await this.publicKey(key), key.spec, algorithm, lengthBytes)
  }

  /** The public half, proven to be that of the EKT. Throws KmsError KMSInternalException when it is another one. */
  async publicKey(key: KmsKey): Promise<KeyObject> {
    const { ekt } = currentMaterial(key)
    const name = ekt.digest.toString('latin1')
    const known = this.#publicKeys.get(name)
    if (known !== undefined) return known
    const spki = spkiOf(key)
    const { matches } = await this.#call(key, 'checkPublicKey', { ekt, publicKey: spki })
    if (!matches) {
      throw new KmsError('KMSInternalException', 'The request failed because of an internal error.', {
        detail: `the stored public key of ${key.arn} is not that of its EKT`,
      })
    }
    const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    this.#publicKeys.set(name, publicKey)
    return publicKey
  }
}

/** SubjectPublicKeyInfo, DER, as the store holds it. */
export function spkiOf(key: KmsKey): Buffer {
  const { publicKey } = currentMaterial(key)
  if (publicKey !== undefined) return publicKey
  throw new KmsError('KMSInternalException', 'The request failed because of an internal error.', {
    detail: `${key.arn} has no public key in the store`,
  })
}

function requireRoom(key: KeyObject, spec: KeySpec, algorithm: OaepAlgorithm, lengthBytes: number): void {
  const modulusBytes = (key.asymmetricKeyDetails?.modulusLength ?? 0) / BITS_PER_BYTE
  const max = oaepMaxBytes(modulusBytes, algorithm)
  if (lengthBytes <= max) return
  throw new KmsError(
    'ValidationException',
    `Algorithm ${algorithm} and key spec ${spec} cannot encrypt data larger than ${max} bytes.`,
  )
}

/**
 * Throws KmsError ValidationException for what the algorithm does not take, and UnsupportedOperationException for an algorithm
 * that no token here can do.
 */
function factsOf({ algorithm, messageType, message }: ToSign): SigningAlgorithmFacts {
  const wanted = signingInputs(algorithm)[messageType]
  if (wanted === undefined)
    throw new KmsError('ValidationException', `MessageType ${messageType} does not fit algorithm ${algorithm}.`)
  if (wanted !== 'any' && message.length !== wanted)
    throw new KmsError('ValidationException', `Digest is invalid length for algorithm ${algorithm}.`)
  const facts = signingFacts(algorithm)
  if (facts !== undefined) return facts
  throw new KmsError(
    'UnsupportedOperationException',
    `${algorithm} needs ${signingNeeds(algorithm)}, which no token of this Region has.`,
  )
}

/** What the token signs: the message's hash, unless that came or the scheme hashes by itself. */
function signedBytes({ message, messageType }: ToSign, { hash: name }: SigningAlgorithmFacts): Buffer {
  return name === undefined || messageType !== 'RAW' ? message : hash(name, message, 'buffer')
}

function verifies(key: KeyObject, { scheme, hash: name }: SigningAlgorithmFacts, message: Buffer, signature: Buffer) {
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }
  return verify(name ?? null, message, { key, ...(scheme === 'PSS' ? pss : {}) }, signature)
}

function requireSameCurve(own: KeyObject, spki: Buffer): void {
  const curve = namedCurveOf(spki)
  if (curve !== undefined && curve === own.asymmetricKeyDetails?.namedCurve) return
  throw new KmsError(
    'ValidationException',
    'PublicKey must be a public key on the curve of the KMS key, as DER of SPKI.',
  )
}

/**
 * The curve of a public key in its one encoding: named, its point uncompressed (RFC 5480 sections 2.1.1 and 2.2). OpenSSL
 * would take parameters that it is told as a curve that it knows, whatever cofactor they claim. Undefined for all else.
 */
function namedCurveOf(spki: Buffer): string | undefined {
  try {
    // OpenSSL makes no key of a point that is not on its curve.
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    const plain = createPublicKey({ key: key.export({ format: 'jwk' }), format: 'jwk' })
    return plain.export({ type: 'spki', format: 'der' }).equals(spki) ? key.asymmetricKeyDetails?.namedCurve : undefined
  } catch {
    return undefined
  }
}
