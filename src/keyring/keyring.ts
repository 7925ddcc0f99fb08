/**
 * From a KMS key to one HSM command: picks the material and its EKT, hashes the encryption context, and hands the command
 * to the pool of the key's region. The service never holds an HBK; what comes back is a blob, or plaintext for a caller.
 */
import { hash } from 'node:crypto'
import { contextHash } from '../formats/aad.ts'
import { parseCiphertext } from '../formats/ciphertext.ts'
import type { Args, CommandName, Result } from '../hsm/contract/commands.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import type { EncryptionContext } from '../model/encryption-context.ts'
import { KmsError } from '../model/errors.ts'
import type { KeyMaterial, KmsKey } from '../model/key.ts'
import type { KeySpec, KeyUsage } from '../model/key-specs.ts'
import { kmsErrorOf } from './faults.ts'

export class Keyring {
  readonly #pools: ReadonlyMap<string, HsmPool>

  constructor(pools: ReadonlyMap<string, HsmPool>) {
    this.#pools = pools
  }

  /** Generates the first HBK of a new key. Nothing is stored: an HBK that nobody recorded is simply gone. */
  async createMaterial(
    region: string,
    request: { account: string; kid: Buffer; keySpec: KeySpec; keyUsage: KeyUsage },
    nowMs: number,
  ): Promise<KeyMaterial> {
    const { record, mid } = await this.#call(region, 'createBackingKey', request)
    const ekt = { digest: hash('sha256', record, 'buffer'), record: Buffer.from(record) }
    return { id: mid.toString('hex'), state: 'CURRENT', createdAtMs: nowMs, ekt }
  }

  /** A data key of `lengthBytes`, and the same encrypted. The caller of this wipes the plaintext, which may be unwanted. */
  generateDataKey(
    key: KmsKey,
    lengthBytes: number,
    context: EncryptionContext,
    plaintextWanted: boolean,
  ): Promise<Result<'generateDataKey'>> {
    const ekt = key.current.ekt
    return this.#call(key.region, 'generateDataKey', {
      ekt,
      lengthBytes,
      contextHash: contextHash(context),
      plaintextWanted,
    })
  }

  encrypt(key: KmsKey, plaintext: Buffer, context: EncryptionContext): Promise<Result<'encrypt'>> {
    return this.#call(key.region, 'encrypt', { ekt: key.current.ekt, plaintext, contextHash: contextHash(context) })
  }

  /** Opens a ciphertext of this key with the material it names. Throws KmsError InvalidCiphertextException. */
  async decrypt(
    key: KmsKey,
    blob: Buffer,
    context: EncryptionContext,
  ): Promise<{ plaintext: Buffer; material: KeyMaterial }> {
    const material = materialOf(key, blob)
    const args = { ekt: material.ekt, blob, contextHash: contextHash(context) }
    const { plaintext } = await this.#call(key.region, 'decrypt', args)
    return { plaintext, material }
  }

  /** Opens and seals inside one HSM host: the plaintext does not come to the service. */
  async reEncrypt(
    source: { key: KmsKey; blob: Buffer; context: EncryptionContext },
    destination: { key: KmsKey; context: EncryptionContext },
  ): Promise<{ blob: Buffer; sourceMaterial: KeyMaterial; destinationMaterial: KeyMaterial }> {
    const sourceMaterial = materialOf(source.key, source.blob)
    const destinationMaterial = destination.key.current
    const { blob } = await this.#call(source.key.region, 'reEncrypt', {
      source: sourceMaterial.ekt,
      blob: source.blob,
      sourceContextHash: contextHash(source.context),
      destination: destinationMaterial.ekt,
      destinationContextHash: contextHash(destination.context),
    })
    return { blob, sourceMaterial, destinationMaterial }
  }

  async generateRandom(region: string, lengthBytes: number): Promise<Buffer> {
    const { random } = await this.#call(region, 'generateRandom', { lengthBytes })
    return random
  }

  /** Makes every host let go of a deleted key's HBKs. */
  async forget(key: KmsKey): Promise<void> {
    for (const { ekt } of key.materials.values()) await this.#pools.get(key.region)?.evict(ekt.digest)
  }

  async #call<C extends CommandName>(region: string, name: C, args: Args<C>): Promise<Result<C>> {
    const pool = this.#pools.get(region)
    if (pool === undefined) throw new KmsError('KMSInternalException', 'The region is not served.', { detail: region })
    try {
      return await pool.call(name, args)
    } catch (error) {
      throw kmsErrorOf(error)
    }
  }
}

/** The material whose id stands in the header. The header is not proven: an unknown id is a ciphertext like any bad one. */
function materialOf(key: KmsKey, blob: Buffer): KeyMaterial {
  const { mid } = parseCiphertext(blob)
  const material = key.materials.get(mid.toString('hex'))
  if (material === undefined) throw new KmsError('InvalidCiphertextException', '', { detail: 'unknown key material' })
  return material
}
