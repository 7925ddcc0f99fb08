/**
 * HBKs: generated, wrapped into EKT records, verified and unwrapped again, and kept as handles in a bounded cache.
 *
 * The cache is keyed by the SHA-256 of the whole record, MAC included, which this host computes itself; an entry holds
 * the handle and the fields that the MAC proved. Nothing a command claims of a key is used (security.md 2.5).
 */
import { hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import pkcs11 from 'pkcs11js'
import { KDF_SUITES, type Kdf, type Purpose } from '../../formats/derivation.ts'
import {
  decodeEkt,
  type EktFields,
  ektMacInput,
  encodeEkt,
  SPKI_DIGEST_BYTES,
  type TokenKeyType,
} from '../../formats/ekt.ts'
import { HsmFault } from '../contract/fault.ts'
import type { EktReference } from '../contract/fields.ts'
import type { Capabilities } from './capabilities.ts'
import type { BaseKey } from './ciphers/message-cipher.ts'
import type { MessageCiphers } from './ciphers/message-ciphers.ts'
import {
  type Attributes,
  attributes,
  type Cryptoki,
  NO_RIGHTS,
  type ObjectHandle,
  type SessionHandle,
} from './cryptoki.ts'
import type { DomainKeys } from './domain-keys.ts'
import { AES_KEY_GENERATION, GENERIC_SECRET_GENERATION } from './mechanisms.ts'
import type { Sessions } from './sessions.ts'

/** The command named an EKT by its digest alone and this host does not hold it: the record is to be sent. */
export class NeedRecord extends Error {
  override readonly name = 'NeedRecord'
}

/** What an HBK is for. One HBK, one purpose: a right or a derivation label of one kind is never given to another. */
interface HbkKind {
  readonly keySpec: string
  readonly keyUsage: string
  readonly lengthBytes: number
  /** The derivation label, for kinds that DEKs are derived from; the others make MACs. */
  readonly purpose?: Purpose
}

const hmacKind = (bits: number): HbkKind => ({
  keySpec: `HMAC_${bits}`,
  keyUsage: 'GENERATE_VERIFY_MAC',
  lengthBytes: bits / 8,
})

const KINDS: readonly HbkKind[] = [
  { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT', lengthBytes: 32, purpose: 'data' },
  { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'IDENTITY', lengthBytes: 32, purpose: 'identity' },
  ...[224, 256, 384, 512].map(hmacKind),
]

/**
 * The object that an EKT unwraps to: its type in every token, its one right in this one. Suite 1 encrypts with it; suite 2
 * computes an HMAC, and tokens want a generic secret for that, by a mechanism of SP 800-108 as by C_Sign.
 */
interface HbkObject {
  readonly tokenKeyType: TokenKeyType
  readonly right: 'DERIVE' | 'SIGN'
  readonly lengthBytes: number
}

/** An HBK in the token: its handle, and what its verified EKT says. */
export interface Hbk extends BaseKey {
  readonly suite: number
  readonly keySpec: string
  /** Undefined for keys that make MACs. */
  readonly purpose: Purpose | undefined
  readonly importedAt: number
}

const DIGEST_ENCODING = 'latin1'
/** Of keys that make no ciphertext. */
const NO_SUITE = 0

export class BackingKeys {
  readonly #cryptoki: Cryptoki
  readonly #sessions: Sessions
  readonly #domain: DomainKeys
  readonly #capabilities: Capabilities
  readonly #ciphers: MessageCiphers
  readonly #lifetimeMs: number
  readonly #cache: LRUCache<string, Hbk>

  constructor(
    parts: {
      cryptoki: Cryptoki
      sessions: Sessions
      domain: DomainKeys
      capabilities: Capabilities
      ciphers: MessageCiphers
    },
    limits: { cachedHbks: number; hbkLifetimeMs: number },
  ) {
    this.#cryptoki = parts.cryptoki
    this.#sessions = parts.sessions
    this.#domain = parts.domain
    this.#capabilities = parts.capabilities
    this.#ciphers = parts.ciphers
    this.#lifetimeMs = limits.hbkLifetimeMs
    this.#cache = new LRUCache({ max: limits.cachedHbks, dispose: hbk => this.#destroy(hbk.handle) })
  }

  get cached(): number {
    return this.#cache.size
  }

  /** Generates an HBK and wraps it. The generated object is destroyed: what is used later comes out of the EKT. */
  create(request: { account: string; kid: Buffer; keySpec: string; keyUsage: string }): {
    record: Buffer
    mid: Buffer
  } {
    const kind = kindOf(request.keySpec, request.keyUsage)
    const kdf = kind.purpose === undefined ? undefined : this.#capabilities.kdf
    const object = this.#objectOf(kind, kdf)
    const mid = randomBytes(32)
    const record = this.#sessions.withSession(session => {
      const handle = this.#generate(session, object)
      try {
        const { mechanism, scheme } = this.#capabilities.wrap
        const wrapped = this.#cryptoki.C_WrapKey(
          session,
          mechanism,
          this.#domain.wrapKey,
          handle,
          Buffer.alloc(kind.lengthBytes + 32),
        )
        const fields: EktFields = {
          domainId: this.#domain.id,
          dkVersion: this.#domain.dkVersion,
          macVersion: this.#domain.macVersion,
          region: this.#domain.region,
          ...request,
          mid,
          origin: 'AWS_KMS',
          kdf: kdf ?? '',
          wrapScheme: scheme,
          tokenKeyType: object.tokenKeyType,
          trueLength: kind.lengthBytes,
          multiRegion: false,
          spkiDigest: Buffer.alloc(SPKI_DIGEST_BYTES),
          body: { kind: 'wrapped', bytes: wrapped },
        }
        return encodeEkt(fields, this.#domain.sign(session, ektMacInput(fields)))
      } finally {
        this.#cryptoki.C_DestroyObject(session, handle)
      }
    })
    return { record, mid }
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
    if (hbk.purpose !== undefined) throw new HsmFault('key', 'the EKT is not for this purpose')
    return hbk
  }

  evict(digest: Buffer): void {
    this.#cache.delete(digest.toString(DIGEST_ENCODING))
  }

  /** Lets go of every HBK, after a fault that may have taken the handles with it. */
  clear(): void {
    this.#cache.clear()
  }

  #get({ digest, record }: EktReference): Hbk {
    if (record.length === 0) {
      const hbk = this.#cache.get(digest.toString(DIGEST_ENCODING))
      if (hbk === undefined || performance.now() - hbk.importedAt > this.#lifetimeMs) throw new NeedRecord()
      return hbk
    }
    const key = hash('sha256', record, 'buffer').toString(DIGEST_ENCODING)
    const held = this.#cache.get(key)
    if (held !== undefined && performance.now() - held.importedAt <= this.#lifetimeMs) return held
    const hbk = this.#import(record)
    this.#cache.set(key, hbk)
    return hbk
  }

  /** Verifies the record's MAC, and only then unwraps what it holds. */
  #import(record: Buffer): Hbk {
    const { fields, mac } = decode(record)
    if (!fields.domainId.equals(this.#domain.id)) throw new HsmFault('key', 'the EKT belongs to another domain')
    const verified = this.#sessions.withSession(session =>
      this.#domain.verifies(session, fields.macVersion, ektMacInput(fields), mac),
    )
    if (!verified) throw new HsmFault('key', 'the MAC of the EKT record does not verify')
    if (fields.region !== this.#domain.region) throw new HsmFault('key', 'the EKT belongs to another region')
    const kind = kindOf(fields.keySpec, fields.keyUsage)
    const kdf = kdfOf(fields, kind)
    const object = this.#objectOf(kind, kdf)
    if (fields.tokenKeyType !== object.tokenKeyType || fields.trueLength !== kind.lengthBytes) {
      throw new HsmFault('key', 'the EKT does not describe a key of its spec')
    }
    if (fields.body.kind !== 'wrapped' || fields.wrapScheme !== this.#capabilities.wrap.scheme) {
      throw new HsmFault('key', `this token does not unwrap ${fields.wrapScheme}`)
    }
    const unwrapKey = this.#domain.unwrapKey(fields.dkVersion)
    if (unwrapKey === undefined) throw new HsmFault('key', `domain key ${fields.dkVersion} is not in use`)
    return {
      handle: this.#unwrap(unwrapKey, fields.body.bytes, object),
      kid: Buffer.from(fields.kid),
      mid: Buffer.from(fields.mid),
      suite: kdf === undefined ? NO_SUITE : KDF_SUITES[kdf],
      keySpec: kind.keySpec,
      purpose: kind.purpose,
      importedAt: performance.now(),
    }
  }

  /** `kdf` is undefined for keys that make MACs. Throws HsmFault `key` when this token does not derive by it. */
  #objectOf({ lengthBytes }: HbkKind, kdf: Kdf | undefined): HbkObject {
    if (kdf === undefined) return { tokenKeyType: 'GENERIC_SECRET', right: 'SIGN', lengthBytes }
    const cipher = this.#ciphers.byKdf(kdf)
    if (cipher === undefined) throw new HsmFault('key', `this token does not derive by ${kdf}`)
    return { tokenKeyType: kdf === 'AES-CBC-DATA' ? 'AES' : 'GENERIC_SECRET', right: cipher.hbkRight, lengthBytes }
  }

  #generate(session: SessionHandle, object: HbkObject): ObjectHandle {
    const mechanism = object.tokenKeyType === 'AES' ? AES_KEY_GENERATION : GENERIC_SECRET_GENERATION
    return this.#cryptoki.C_GenerateKey(session, mechanism, [
      ...hbkTemplate(object, { extractable: true }),
      ...attributes({ VALUE_LEN: object.lengthBytes }),
    ])
  }

  /** The handle belongs to the cache session, which is never lent. A verified record that does not unwrap is the token's fault. */
  #unwrap(unwrapKey: ObjectHandle, wrapped: Buffer, object: HbkObject): ObjectHandle {
    const template = [...hbkTemplate(object, { extractable: false }), ...attributes({ MODIFIABLE: false })]
    try {
      return this.#cryptoki.C_UnwrapKey(
        this.#sessions.cache,
        this.#capabilities.wrap.mechanism,
        unwrapKey,
        wrapped,
        template,
      )
    } catch (error) {
      throw new HsmFault('token', 'a verified EKT does not unwrap', { cause: error })
    }
  }

  #destroy(handle: ObjectHandle): void {
    try {
      this.#cryptoki.C_DestroyObject(this.#sessions.cache, handle)
    } catch {
      // The object is gone already, with its session or login.
    }
  }
}

function hbkTemplate({ tokenKeyType, right }: HbkObject, { extractable }: { extractable: boolean }): Attributes {
  return attributes({
    CLASS: pkcs11.CKO_SECRET_KEY,
    KEY_TYPE: tokenKeyType === 'AES' ? pkcs11.CKK_AES : pkcs11.CKK_GENERIC_SECRET,
    TOKEN: false,
    PRIVATE: true,
    SENSITIVE: true,
    EXTRACTABLE: extractable,
    ...NO_RIGHTS,
    [right]: true,
  })
}

function kindOf(keySpec: string, keyUsage: string): HbkKind {
  const kind = KINDS.find(entry => entry.keySpec === keySpec && entry.keyUsage === keyUsage)
  if (kind === undefined) throw new HsmFault('key', `no HBK is made for ${keySpec} and ${keyUsage}`)
  return kind
}

/** The scheme that the EKT names; undefined where nothing is derived. */
function kdfOf({ kdf }: EktFields, kind: HbkKind): Kdf | undefined {
  if (kind.purpose === undefined) return undefined
  if (!Object.hasOwn(KDF_SUITES, kdf)) throw new HsmFault('key', `no key is derived by ${kdf}`)
  return kdf as Kdf
}

function decode(record: Buffer): ReturnType<typeof decodeEkt> {
  try {
    return decodeEkt(record)
  } catch (error) {
    throw new HsmFault('key', 'not an EKT record', { cause: error })
  }
}
