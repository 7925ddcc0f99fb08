/**
 * From a KMS key to one HSM command: picks the material and its EKT, hashes the encryption context, and hands the command
 * to the pool of the key's region. The service never holds an HBK; what comes back is a blob, or plaintext for a caller.
 */

import { wipe } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { contextHash } from '../formats/aad.ts'
import { midOfCiphertext, parseCiphertext, TAG_BYTES } from '../formats/ciphertext.ts'
import type { Args, CommandName, Result } from '../hsm/contract/commands.ts'
import { holdersOf } from '../hsm/pool/holders.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import type { EncryptionContext } from '../model/encryption-context.ts'
import { KmsError } from '../model/errors.ts'
import { currentMaterial, type KeyMaterial, type KmsKey, type PresentMaterial, presentMaterial } from '../model/key.ts'
import type { DataKeyPairSpec, EncryptionAlgorithm, KeySpec, KeyUsage } from '../model/key-specs.ts'
import type { DoomedObject } from '../store/records.ts'
import type { Store } from '../store/store.ts'
import { createBackingKey } from './backing-keys.ts'
import { kmsErrorOf } from './faults.ts'
import { homeFor, makersOf, serversOf } from './key-homes.ts'
import { KeyPairs, spkiOf } from './key-pairs.ts'
import { destroyResidentKey } from './resident-keys.ts'

/** What new material of a key is made for. */
export function rotationRequest({ account, kid, spec, usage }: KmsKey): MaterialRequest {
  return { account, kid, keySpec: spec, keyUsage: usage }
}

interface MaterialRequest {
  readonly account: string
  readonly kid: Buffer
  readonly keySpec: KeySpec
  readonly keyUsage: KeyUsage
}

export class Keyring {
  /** What is done with key pairs. */
  readonly pairs: KeyPairs
  readonly #pools: ReadonlyMap<string, HsmPool>
  readonly #store: Store
  readonly #clock: Clock

  /** The store is where resident HBKs are written down before they are made; keys are the operations' to store. */
  constructor(parts: { pools: ReadonlyMap<string, HsmPool>; store: Store; clock: Clock }) {
    this.#pools = parts.pools
    this.#store = parts.store
    this.#clock = parts.clock
    this.pairs = new KeyPairs((key, name, args) => this.#callWith(key, name, args))
  }

  /** Throws KmsError UnsupportedOperationException when the tokens of a region can make no key of this spec. */
  requireSpec(region: string, spec: KeySpec): void {
    this.#inTermsOfApi(() => homeFor(this.#poolOf(region), spec))
  }

  /**
   * Generates an HBK for a key. The caller stores it with the key, or it is of no use to anybody. Throws as
   * {@link requireSpec}.
   */
  async createMaterial(region: string, request: MaterialRequest, nowMs: number): Promise<KeyMaterial> {
    const parts = { store: this.#store, clock: this.#clock }
    const pool = this.#poolOf(region)
    const home = this.#inTermsOfApi(() => homeFor(pool, request.keySpec))
    const { ekt, mid, publicKey } = await this.#translated(createBackingKey(parts, pool, request, home))
    return { id: mid.toString('hex'), state: 'CURRENT', createdAtMs: nowMs, ekt, publicKey }
  }

  /**
   * Refuses a region that does not work with multi-Region keys, or not with those of a spec. Throws KmsError
   * UnsupportedOperationException.
   */
  requireMultiRegion(region: string, spec: KeySpec): void {
    const pool = this.#pools.get(region)
    if (pool === undefined) throw notMultiRegion(region, 'is not served here')
    if (!pool.multiRegion) throw notMultiRegion(region, 'does not hold the domain of multi-Region keys')
    const { resident } = this.#inTermsOfApi(() => homeFor(pool, spec))
    if (resident)
      throw notMultiRegion(region, `keeps each key of KeySpec ${spec} in one token, so none is a multi-Region key`)
  }

  /** A data key of `lengthBytes`, and the same encrypted. The caller of this wipes the plaintext, which may be unwanted. */
  generateDataKey(
    key: KmsKey,
    lengthBytes: number,
    context: EncryptionContext,
    plaintextWanted: boolean,
  ): Promise<Result<'generateDataKey'>> {
    const ekt = currentMaterial(key).ekt
    return this.#call(key.region, 'generateDataKey', {
      ekt,
      lengthBytes,
      contextHash: contextHash(context),
      plaintextWanted,
    })
  }

  encrypt(key: KmsKey, plaintext: Buffer, context: EncryptionContext): Promise<Result<'encrypt'>> {
    return this.#call(key.region, 'encrypt', {
      ekt: currentMaterial(key).ekt,
      plaintext,
      contextHash: contextHash(context),
    })
  }

  /** Opens a ciphertext of this key, with the material that {@link materialOf} says it names. */
  decrypt(key: KmsKey, { ekt }: PresentMaterial, blob: Buffer, context: EncryptionContext): Promise<Result<'decrypt'>> {
    return this.#call(key.region, 'decrypt', { ekt, blob, contextHash: contextHash(context) })
  }

  /**
   * Opens and seals inside one HSM host: the plaintext does not come to the service, unless the HBKs reside in different
   * tokens.
   */
  async reEncrypt(
    source: { key: KmsKey; blob: Buffer; context: EncryptionContext },
    destination: { key: KmsKey; context: EncryptionContext },
  ): Promise<{ blob: Buffer; sourceMaterial: KeyMaterial; destinationMaterial: KeyMaterial }> {
    const sourceMaterial = materialOf(source.key, source.blob)
    const destinationMaterial = currentMaterial(destination.key)
    const args = {
      source: sourceMaterial.ekt,
      blob: source.blob,
      sourceContextHash: contextHash(source.context),
      destination: destinationMaterial.ekt,
      destinationContextHash: contextHash(destination.context),
    }
    const { region } = source.key
    const apart = holdersOf(args)?.length === 0
    const { blob } = await (apart ? this.#reEncryptApart(region, args) : this.#call(region, 'reEncrypt', args))
    return { blob, sourceMaterial, destinationMaterial }
  }

  /** The same where one key, or both, is RSA. */
  async reEncryptRsa(
    source: { key: KmsKey; algorithm: EncryptionAlgorithm; blob: Buffer; context: EncryptionContext },
    destination: { key: KmsKey; algorithm: EncryptionAlgorithm; context: EncryptionContext },
  ): Promise<{ blob: Buffer; sourceMaterial: KeyMaterial; destinationMaterial: KeyMaterial }> {
    const symmetric = source.algorithm === 'SYMMETRIC_DEFAULT'
    const sourceMaterial = symmetric ? materialOf(source.key, source.blob) : currentMaterial(source.key)
    const destinationMaterial = currentMaterial(destination.key)
    if (destination.algorithm !== 'SYMMETRIC_DEFAULT' && symmetric) {
      await this.pairs.requireRoom(destination.key, destination.algorithm, plaintextBytesOf(source.blob))
    }
    const { blob } = await this.#call(source.key.region, 'reEncryptRsa', {
      source: sourceMaterial.ekt,
      sourceAlgorithm: source.algorithm,
      blob: source.blob,
      sourceContextHash: contextHash(source.context),
      destination: destinationMaterial.ekt,
      destinationAlgorithm: destination.algorithm,
      destinationPublicKey: destination.algorithm === 'SYMMETRIC_DEFAULT' ? NO_BYTES : spkiOf(destination.key),
      destinationContextHash: contextHash(destination.context),
    })
    return { blob, sourceMaterial, destinationMaterial }
  }

  /** A key pair for the caller, its private half encrypted under the key. The caller of this wipes the private key. */
  generateDataKeyPair(
    key: KmsKey,
    pairSpec: DataKeyPairSpec,
    context: EncryptionContext,
    plaintextWanted: boolean,
  ): Promise<Result<'generateDataKeyPair'>> {
    const { ekt } = currentMaterial(key)
    const pool = this.#poolOf(key.region)
    const serials = this.#inTermsOfApi(() => makersOf(pool, pairSpec, ekt))
    const args = { ekt, pairSpec, contextHash: contextHash(context), plaintextWanted }
    return this.#translated(pool.call('generateDataKeyPair', args, { serials }))
  }

  async generateMac(key: KmsKey, message: Buffer): Promise<Buffer> {
    const { mac } = await this.#call(key.region, 'generateMac', { ekt: currentMaterial(key).ekt, message })
    return mac
  }

  async verifyMac(key: KmsKey, message: Buffer, mac: Buffer): Promise<boolean> {
    const { valid } = await this.#call(key.region, 'verifyMac', { ekt: currentMaterial(key).ekt, message, mac })
    return valid
  }

  async generateRandom(region: string, lengthBytes: number): Promise<Buffer> {
    const { random } = await this.#call(region, 'generateRandom', { lengthBytes })
    return random
  }

  /** Makes every host let go of a deleted key's HBKs. */
  async forget(key: KmsKey): Promise<void> {
    for (const { ekt } of key.materials.values())
      if (ekt !== undefined) await this.#pools.get(key.region)?.evict(ekt.digest)
  }

  /** Destroys the object of a deleted HBK in its token; false when the token is away. Throws KmsError. */
  async destroy(object: DoomedObject): Promise<boolean> {
    const pool = this.#pools.get(object.region)
    return pool !== undefined && this.#translated(destroyResidentKey(this.#store, pool, object))
  }

  /** No token holds both HBKs: the plaintext comes here for a moment, as those of Decrypt and Encrypt do. */
  async #reEncryptApart(region: string, args: Args<'reEncrypt'>): Promise<Result<'encrypt'>> {
    const { source, blob, sourceContextHash, destination, destinationContextHash } = args
    const opened = await this.#call(region, 'decrypt', { ekt: source, blob, contextHash: sourceContextHash })
    const plaintext = Buffer.from(opened.plaintext)
    wipe(opened.plaintext)
    try {
      return await this.#call(region, 'encrypt', { ekt: destination, plaintext, contextHash: destinationContextHash })
    } finally {
      wipe(plaintext)
    }
  }

  #call<C extends CommandName>(region: string, name: C, args: Args<C>): Promise<Result<C>> {
    return this.#translated(this.#poolOf(region).call(name, args))
  }

  /** The same with the current material of a key that not every token may be able to use. */
  #callWith<C extends CommandName>(key: KmsKey, name: C, args: Args<C>): Promise<Result<C>> {
    const pool = this.#poolOf(key.region)
    return this.#translated(pool.call(name, args, { serials: serversOf(pool, key.spec, currentMaterial(key).ekt) }))
  }

  #poolOf(region: string): HsmPool {
    const pool = this.#pools.get(region)
    if (pool === undefined) throw new KmsError('KMSInternalException', 'The region is not served.', { detail: region })
    return pool
  }

  #inTermsOfApi<T>(work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw kmsErrorOf(error)
    }
  }

  #translated<T>(work: Promise<T>): Promise<T> {
    return work.catch(throwKmsError)
  }
}

function throwKmsError(error: unknown): never {
  throw kmsErrorOf(error)
}

function notMultiRegion(region: string, why: string): KmsError {
  return new KmsError('UnsupportedOperationException', `Region ${region} ${why}.`)
}

/**
 * The material whose id stands in the header. The header is not proven: an unknown id is a ciphertext like any bad one. Throws
 * KmsError InvalidCiphertextException.
 */
export function materialOf(key: KmsKey, blob: Buffer): PresentMaterial {
  const material = key.materials.get(midOfCiphertext(blob))
  if (material === undefined) throw new KmsError('InvalidCiphertextException', '', { detail: 'unknown key material' })
  return presentMaterial(key, material)
}

const NO_BYTES = Buffer.alloc(0)

function plaintextBytesOf(blob: Buffer): number {
  return parseCiphertext(blob).sealed.length - TAG_BYTES
}
