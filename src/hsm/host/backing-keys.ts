/**
 * HBKs by their EKT, for whatever uses them: kept as handles in a bounded cache, and each handed out only for what it is for.
 *
 * The cache is keyed by the SHA-256 of the whole record, MAC included, which this host computes itself; an entry holds
 * the handle and the fields that the MAC proved. Nothing a command claims of a key is used (security.md 2.5).
 */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Purpose } from '../../formats/derivation.ts'
import type { EktFields } from '../../formats/ekt.ts'
import { HsmFault } from '../contract/fault.ts'
import type { EktReference } from '../contract/fields.ts'
import type { Hbk } from './hbk.ts'
import type { HbkLoader } from './hbk-loader.ts'
import { type PairKind, type PrivateRight, spkiDigestOf } from './key-pairs.ts'
import type { WrappingKey } from './material-import.ts'

/** The command named an EKT by its digest alone and this host does not hold it: the record is to be sent. */
export class NeedRecord extends Error {
  override readonly name = 'NeedRecord'
}

const DIGEST_ENCODING = 'latin1'

export class BackingKeys {
  readonly #loader: HbkLoader
  readonly #lifetimeMs: number
  readonly #cache: LRUCache<string, Hbk>
  #imports = 0

  constructor(loader: HbkLoader, limits: { cachedHbks: number; hbkLifetimeMs: number }) {
    this.#loader = loader
    this.#lifetimeMs = limits.hbkLifetimeMs
    this.#cache = new LRUCache({ max: limits.cachedHbks, dispose: hbk => this.#loader.unload(hbk) })
  }

  /** EKTs that were verified and taken into use because the cache did not hold them. */
  get imports(): number {
    return this.#imports
  }

  get cached(): number {
    return this.#cache.size
  }

  /** An HBK that DEKs of this purpose may be derived from. Throws HsmFault `key` for an EKT of any other kind. */
  forDerivation(reference: EktReference, purpose: Purpose): Hbk {
    const hbk = this.#get(reference)
    if (hbk.purpose !== purpose) throw new HsmFault('key', 'the EKT is not for this purpose')
    return hbk
  }

  /** An HBK that MACs are made with. Throws HsmFault `key` for an EKT of any other kind. */
  forMac(reference: EktReference): Hbk {
    const hbk = this.#get(reference)
    if (hbk.purpose !== undefined || hbk.pair !== undefined)
      throw new HsmFault('key', 'the EKT is not for this purpose')
    return hbk
  }

  /** A private key that has this right. Throws HsmFault `key` for an EKT of any other kind. */
  forPrivateUse(reference: EktReference, right: PrivateRight): Hbk & { readonly pair: PairKind } {
    const hbk = this.#get(reference)
    if (hbk.pair?.right !== right) throw new HsmFault('key', 'the EKT is not for this purpose')
    return hbk as Hbk & { readonly pair: PairKind }
  }

  /** Whether this SubjectPublicKeyInfo is the public half of the EKT's private key. */
  isPublicKeyOf(reference: EktReference, publicKey: Buffer): boolean {
    const { pair, spkiDigest } = this.#get(reference)
    return pair !== undefined && spkiDigestOf(publicKey).equals(spkiDigest)
  }

  /** The same as an assertion. Throws HsmFault `key`. */
  requirePublicKey(reference: EktReference, publicKey: Buffer): void {
    if (!this.isPublicKeyOf(reference, publicKey)) throw new HsmFault('key', 'the public key is not that of the EKT')
  }

  /**
   * Runs `use` with the private half of an import's wrapping key, which no cache holds. Throws HsmFault `key` for an EKT of any
   * other kind.
   */
  useWrappingKey<T>(
    { record }: EktReference,
    right: 'UNWRAP' | 'DECRYPT',
    use: (key: WrappingKey, fields: EktFields) => T,
  ): T {
    if (record.length === 0) throw new NeedRecord()
    return this.#loader.useWrappingKey(record, right, use)
  }

  /** Destroys the resident HBK of a record that verifies, for good. Throws HsmFault `key` for any other record. */
  destroyResident({ record }: EktReference): void {
    // One in the cache is named by its digest alone.
    if (record.length === 0) throw new NeedRecord()
    this.#cache.delete(digestOf(record))
    this.#loader.destroyResident(record)
  }

  /** `digest` is the SHA-256 of a record. */
  evict(digest: Buffer): void {
    this.#cache.delete(digest.toString(DIGEST_ENCODING))
  }

  /** An HBK that is let go of after one use: the known-answer command pushes no other out of the cache. */
  useOnce<T>(record: Buffer, use: (hbk: Hbk) => T): T {
    const hbk = this.#loader.load(record)
    try {
      return use(hbk)
    } finally {
      this.#loader.unload(hbk)
    }
  }

  #get({ digest, record }: EktReference): Hbk {
    if (record.length === 0) {
      const hbk = this.#cache.get(digest.toString(DIGEST_ENCODING))
      if (hbk === undefined || performance.now() - hbk.importedAt > this.#lifetimeMs) throw new NeedRecord()
      return hbk
    }
    const key = digestOf(record)
    const held = this.#cache.get(key)
    if (held !== undefined && performance.now() - held.importedAt <= this.#lifetimeMs) return held
    const hbk = this.#loader.load(record)
    this.#imports += 1
    this.#cache.set(key, hbk)
    return hbk
  }
}

function digestOf(record: Buffer): string {
  return hash('sha256', record, 'buffer').toString(DIGEST_ENCODING)
}
