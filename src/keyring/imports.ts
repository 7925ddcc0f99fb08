/**
 * Imported key material, on the service's side of the border: which tokens may take it, how often a wrapping key is tried,
 * and its end. The material itself is not here: it comes as a ciphertext, goes to a token as one, and comes back as an EKT.
 */
import { hash, randomBytes } from 'node:crypto'
import { MalformedBytes } from '../base/bytes.ts'
import { type Clock, DAY_MS } from '../base/clock.ts'
import { decodeImportToken, encodeImportToken, IMPORT_ID_BYTES, type ImportToken } from '../formats/import-token.ts'
import { residenceOf } from '../formats/resident-key.ts'
import type { Args, Result } from '../hsm/contract/commands.ts'
import { HsmFault } from '../hsm/contract/fault.ts'
import { needsOf } from '../hsm/contract/key-mechanisms.ts'
import { OAEP_NAMES } from '../hsm/contract/token-profile.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import { KmsError } from '../model/errors.ts'
import { type WrappingAlgorithm, type WrappingKeySpec, wrappingFacts } from '../model/imports.ts'
import { type Ekt, type KeyMaterial, type KmsKey, permanentMaterials } from '../model/key.ts'
import type { KeySpec } from '../model/key-specs.ts'
import { isReplica } from '../model/multi-region.ts'
import { VersionSwept } from '../store/faults.ts'
import type { ImportKey } from '../store/records.ts'
import type { Store } from '../store/store.ts'
import { kmsErrorOf } from './faults.ts'
import { homeFor } from './key-homes.ts'
import { deletePendingInStep, type RemovedMaterial } from './related-keys.ts'
import { importResidentKey } from './resident-keys.ts'

/** Bad imports after which a wrapping key ends: Manger's attack takes about a thousand (CRYPTO 2001). */
const IMPORT_FAILURES_MAX = 10
/** Wrapping keys that one KMS key may have at a time; each costs the token a search for primes. */
const IMPORT_KEYS_MAX = 25
const CREATIONS_MAX = 2

/** What a caller wraps its material under. */
export interface ImportParameters {
  readonly token: Buffer
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Buffer
  readonly validToMs: number
}

/** Material that came out of an import, not stored yet. */
export interface ImportedMaterial {
  readonly id: string
  readonly ekt: Ekt
  readonly publicKey: Buffer | undefined
  readonly commitment: Buffer | undefined
}

export class Imports {
  readonly #pools: ReadonlyMap<string, HsmPool>
  readonly #store: Store
  readonly #clock: Clock
  readonly #inHostAllowed: boolean

  constructor(parts: { pools: ReadonlyMap<string, HsmPool>; store: Store; clock: Clock; inHostAllowed: boolean }) {
    this.#pools = parts.pools
    this.#store = parts.store
    this.#clock = parts.clock
    this.#inHostAllowed = parts.inHostAllowed
  }

  /**
   * Makes a wrapping key in a token, good for 24 hours. Throws KmsError: UnsupportedOperationException where the tokens of
   * the region cannot take material by this algorithm, LimitExceededException for too many at a time.
   */
  async parametersFor(key: KmsKey, algorithm: WrappingAlgorithm, spec: WrappingKeySpec): Promise<ImportParameters> {
    const pool = this.#poolOf(key)
    this.requireImportable(key.region, key.spec)
    const takers = this.#takers(pool, algorithm)
    const importId = randomBytes(IMPORT_ID_BYTES)
    const notAfterMs = this.#clock() + DAY_MS
    const { account, kid, region, id: keyId } = key
    const args = { account, kid, keySpec: spec, algorithm, importId, notAfterMs }
    for (let attempt = 1; ; attempt += 1) {
      const made = await translated(pool.call('createImportKey', args, takers))
      const record = Buffer.from(made.record)
      const ekt = { digest: hash('sha256', record, 'buffer'), record }
      const token = encodeImportToken({ importId, mac: made.mac })
      const publicKey = Buffer.from(made.publicKey)
      try {
        await this.#insert(key, { region, account, keyId, importId, algorithm, spec, ekt, notAfterMs, attempts: 0 })
        return { token, publicKey, validToMs: notAfterMs }
      } catch (error) {
        // The domain was rotated between the two: the next EKT is under its new version.
        if (!(error instanceof VersionSwept) || attempt === CREATIONS_MAX) throw error
      }
    }
  }

  /** Throws KmsError LimitExceededException, and VersionSwept. */
  async #insert({ arn }: KmsKey, importKey: ImportKey): Promise<void> {
    await this.#store.transaction(async tx => {
      if ((await tx.countImportKeys(importKey, importKey.keyId)) >= IMPORT_KEYS_MAX) {
        throw new KmsError('LimitExceededException', `${arn} has ${IMPORT_KEYS_MAX} wrapping keys that are valid.`)
      }
      await tx.insertImportKey(importKey)
    })
  }

  /**
   * Has a token take material into the key; whether it is what the key waits for is the caller's to say. Throws KmsError:
   * InvalidImportToken, ExpiredImportToken, and InvalidCiphertext for every kind of bad material.
   */
  async take(key: KmsKey, token: Buffer, wrapped: Buffer): Promise<ImportedMaterial> {
    const { importId, mac } = readToken(token)
    const importKey = await this.#store.reader.findImportKey(key, key.id, importId)
    if (importKey === undefined) throw invalidToken()
    if (importKey.notAfterMs <= this.#clock()) {
      throw new KmsError('ExpiredImportTokenException', 'The import token has expired. Get new parameters for import.')
    }
    await this.#countAttempt(importKey)
    const pool = this.#poolOf(key)
    const { algorithm, notAfterMs, ekt } = importKey
    const args = {
      ekt,
      algorithm,
      importId,
      notAfterMs,
      mac,
      materialSpec: key.spec,
      materialUsage: key.usage,
      wrapped,
    }
    try {
      const result = await this.#import(pool, key, args)
      await this.#store.transaction(tx => tx.countImportAttempt(importKey, -1))
      if (result.outcome === 'padded') throw padded(key)
      const record = Buffer.from(result.record)
      const some = (bytes: Buffer) => (bytes.length > 0 ? Buffer.from(bytes) : undefined)
      return {
        id: result.mid.toString('hex'),
        ekt: { record, digest: hash('sha256', record, 'buffer'), ...holdersOf(record) },
        publicKey: some(result.publicKey),
        commitment: some(result.commitment),
      }
    } catch (error) {
      const bad = error instanceof HsmFault && error.kind === 'input'
      if (bad && importKey.attempts + 1 >= IMPORT_FAILURES_MAX) await this.end(importKey)
      throw kmsErrorOf(error)
    }
  }

  /** Material that tokens do not take back once it is wrapped stays in the one that it is imported into. */
  async #import(pool: HsmPool, key: KmsKey, args: Omit<ImportArgs, 'ckaId'>): Promise<Result<'importKeyMaterial'>> {
    const takers = this.#takers(pool, args.algorithm)
    const importInto = async (ckaId: Buffer, to: { readonly serials?: readonly string[] }) => {
      const result = await pool.call('importKeyMaterial', { ...args, ckaId }, to)
      if (result.outcome === 'token') throw invalidToken()
      return result
    }
    const { resident, serials = [] } = homeFor(pool, key.spec)
    if (!resident) return importInto(NO_CKA_ID, takers)
    const parts = { store: this.#store, clock: this.#clock }
    return importResidentKey(parts, pool, key.kid, serials, async (ckaId, to) => {
      const result = await importInto(ckaId, to)
      return result.outcome === 'full' ? undefined : result
    })
  }

  /** Has every host let go of an EKT that is no longer the key's; what resides in a token is destroyed only then. */
  async evict({ region }: KmsKey, { digest }: Ekt): Promise<void> {
    await this.#pools.get(region)?.evict(digest)
  }

  /** Material that the key does not take after all: what of it is in a token is nobody's, and to be destroyed. */
  async discard({ region }: KmsKey, { ekt }: ImportedMaterial): Promise<void> {
    if (ekt.holders === undefined) return
    await this.#store.transaction(tx => tx.doomResidentObject(region, ekt, this.#clock()))
  }

  /**
   * Refuses keys whose material the region's tokens cannot take, whatever it is wrapped by. Throws KmsError
   * UnsupportedOperationException.
   */
  requireImportable(region: string, spec: KeySpec): void {
    const pool = this.#pools.get(region)
    if (pool === undefined || needsOf(spec) === undefined) return
    const reason = homeFor(pool, spec).resident
      ? !this.#inHostAllowed && 'passes through the host, which the configuration (hsm.importInHost) forbids'
      : 'was imported into no token that wraps such keys'
    if (!reason) return
    throw new KmsError('UnsupportedOperationException', `Key material of KeySpec ${spec} ${reason}.`)
  }

  /**
   * Takes material away: what was pending is gone, from replicas too, of what ciphertexts name the id stays, so that the same bytes can be
   * imported again. Every host lets go of it. Returns the key as it is then.
   */
  async remove(key: KmsKey, isMeant: (material: KeyMaterial) => boolean): Promise<KmsKey> {
    const { changed, removed } = await this.#store.transaction(async tx => {
      const current = await tx.findKey(key, key.id)
      if (current === undefined) throw new KmsError('NotFoundException', `Key '${key.arn}' does not exist`)
      let changed = current
      const removed: RemovedMaterial[] = []
      for (const material of [...current.materials.values()].filter(isMeant)) {
        if (material.ekt === undefined) continue
        removed.push({ region: current.region, ekt: material.ekt })
        const usable = changed.state === 'Enabled' || changed.state === 'Disabled'
        const permanent = material.state !== 'PENDING_ROTATION'
        const state = permanent && usable ? 'PendingImport' : changed.state
        changed = { ...changed, state, generation: changed.generation + 1 }
        if (permanent || isReplica(changed))
          await tx.putMaterial(changed, { ...material, ekt: undefined, expiresAtMs: undefined })
        else {
          await tx.deleteMaterial(changed, material.id)
          removed.push(...(await deletePendingInStep(tx, changed, material.id)))
        }
      }
      return { changed, removed }
    })
    for (const { region, ekt } of removed) await this.#pools.get(region)?.evict(ekt.digest)
    if (removed.length > 0) await this.#scrub()
    return changed
  }

  /** Ends a wrapping key before its time, or at it. No host keeps one. */
  async end(importKey: ImportKey): Promise<void> {
    await this.#store.transaction(tx => tx.deleteImportKey(importKey))
    await this.#scrub()
  }

  /** What was removed stays removed though the disk still holds it: the store owes it then, and a task tries again. */
  async #scrub(): Promise<void> {
    await this.#store.scrub().catch(() => {})
  }

  /** Counts first, so that imports under way at once are no more tries than one after the other. */
  async #countAttempt(importKey: ImportKey): Promise<void> {
    const used = await this.#store.transaction(async tx => {
      const { region, account, keyId, importId } = importKey
      const now = await tx.findImportKey({ region, account }, keyId, importId)
      if (now === undefined) return undefined
      if (now.attempts < IMPORT_FAILURES_MAX) await tx.countImportAttempt(now, 1)
      return now.attempts
    })
    if (used === undefined || used >= IMPORT_FAILURES_MAX) throw invalidToken()
  }

  /** Tokens that take material by this algorithm without letting it out; all of them where it may pass through a host. */
  #takers(pool: HsmPool, algorithm: WrappingAlgorithm): { serials?: readonly string[] } {
    if (pool.resident) {
      throw new KmsError('UnsupportedOperationException', 'The HSMs of this Region wrap no keys: nothing is imported.')
    }
    const facts = wrappingFacts(algorithm)
    if (facts === undefined) throw new KmsError('UnsupportedOperationException', `${algorithm} is not supported.`)
    const name = OAEP_NAMES[facts.hash]
    const takers = pool.members.flatMap(({ profile }) =>
      profile?.oaepUnwraps.includes(name) === true ? [profile.serial] : [],
    )
    if (takers.length > 0) return { serials: takers }
    if (this.#inHostAllowed) return {}
    throw new KmsError(
      'UnsupportedOperationException',
      `${algorithm} needs C_UnwrapKey by CKM_RSA_PKCS_OAEP with ${name}, which no HSM of this Region has, and the configuration (hsm.importInHost) forbids to do it outside.`,
    )
  }

  #poolOf({ region }: KmsKey): HsmPool {
    const pool = this.#pools.get(region)
    if (pool === undefined) throw new KmsError('KMSInternalException', 'The region is not served.', { detail: region })
    return pool
  }
}

type ImportArgs = Args<'importKeyMaterial'> & { readonly algorithm: WrappingAlgorithm }

const NO_CKA_ID = Buffer.alloc(0)

function holdersOf(record: Buffer): Pick<Ekt, 'holders'> {
  const residence = residenceOf(record)
  return residence === undefined ? {} : { holders: residence.serials }
}

/** The material of a key that imported bytes are, if any: by id, or for a MAC key, whose id is random, by commitment. */
export function sameMaterial(key: KmsKey, { id, commitment }: ImportedMaterial): KeyMaterial | undefined {
  if (commitment === undefined) return key.materials.get(id)
  return permanentMaterials(key).find(material => material.commitment?.equals(commitment) === true)
}

function readToken(token: Buffer): ImportToken {
  try {
    return decodeImportToken(token)
  } catch (error) {
    if (error instanceof MalformedBytes) throw invalidToken()
    throw error
  }
}

function invalidToken(): KmsError {
  return new KmsError('InvalidImportTokenException', 'The import token is not valid for this KMS key.')
}

function padded({ spec }: KmsKey): KmsError {
  return new KmsError(
    'UnsupportedOperationException',
    `The HSM fills what it wraps with zeros to a multiple of 8 bytes, and so would change this key: for ${spec} import at most 64 bytes, a multiple of 8 bytes, or the hash of the secret.`,
  )
}

async function translated<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    throw kmsErrorOf(error)
  }
}
