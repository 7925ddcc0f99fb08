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
  readonly tokenKeyType: TokenKeyType
  readonly lengthBytes: number
  readonly right: 'DERIVE' | 'SIGN'
  /** The derivation label, for kinds that DEKs are derived from. */
  readonly purpose?: Purpose
}

const hmacKind = (bits: number): HbkKind => ({
  keySpec: `HMAC_${bits}`,
  keyUsage: 'GENERATE_VERIFY_MAC',
  tokenKeyType: 'GENERIC_SECRET',
  lengthBytes: bits / 8,
  right: 'SIGN',
})

const KINDS: readonly HbkKind[] = [
  {
    keySpec: 'SYMMETRIC_DEFAULT',
    keyUsage: 'ENCRYPT_DECRYPT',
    tokenKeyType: 'AES',
    lengthBytes: 32,
    right: 'DERIVE',
    purpose: 'data',
  },
  {
    keySpec: 'SYMMETRIC_DEFAULT',
    keyUsage: 'IDENTITY',
    tokenKeyType: 'AES',
    lengthBytes: 32,
    right: 'DERIVE',
    purpose: 'identity',
  },
  {
    keySpec: 'SYMMETRIC_DEFAULT',
    keyUsage: 'SESSION',
    tokenKeyType: 'AES',
    lengthBytes: 32,
    right: 'DERIVE',
    purpose: 'session',
  },
  ...[224, 256, 384, 512].map(hmacKind),
]

/** An HBK in the token: its handle, and what its verified EKT says. */
export interface Hbk {
  readonly handle: ObjectHandle
  readonly kid: Buffer
  readonly mid: Buffer
  readonly suite: number
  readonly keySpec: string
  readonly purpose: Purpose | undefined
  readonly right: HbkKind['right']
  readonly importedAt: number
}

const DIGEST_ENCODING = 'latin1'

export class BackingKeys {
  readonly #cryptoki: Cryptoki
  readonly #sessions: Sessions
  readonly #domain: DomainKeys
  readonly #capabilities: Capabilities
  readonly #lifetimeMs: number
  readonly #cache: LRUCache<string, Hbk>

  constructor(
    parts: { cryptoki: Cryptoki; sessions: Sessions; domain: DomainKeys; capabilities: Capabilities },
    limits: { cachedHbks: number; hbkLifetimeMs: number },
  ) {
    this.#cryptoki = parts.cryptoki
    this.#sessions = parts.sessions
    this.#domain = parts.domain
    this.#capabilities = parts.capabilities
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
    const mid = randomBytes(32)
    const record = this.#sessions.withSession(session => {
      const handle = this.#generate(session, kind)
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
          kdf: kind.purpose === undefined ? '' : this.#capabilities.kdf,
          wrapScheme: scheme,
          tokenKeyType: kind.tokenKeyType,
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
    if (hbk.right !== 'SIGN') throw new HsmFault('key', 'the EKT is not for this purpose')
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
    const suite = suiteOf(fields, kind, this.#capabilities.kdf)
    if (fields.body.kind !== 'wrapped' || fields.wrapScheme !== this.#capabilities.wrap.scheme) {
      throw new HsmFault('key', `this token does not unwrap ${fields.wrapScheme}`)
    }
    const unwrapKey = this.#domain.unwrapKey(fields.dkVersion)
    if (unwrapKey === undefined) throw new HsmFault('key', `domain key ${fields.dkVersion} is not in use`)
    return {
      handle: this.#unwrap(unwrapKey, fields.body.bytes, kind),
      kid: Buffer.from(fields.kid),
      mid: Buffer.from(fields.mid),
      suite,
      keySpec: kind.keySpec,
      purpose: kind.purpose,
      right: kind.right,
      importedAt: performance.now(),
    }
  }

  #generate(session: SessionHandle, kind: HbkKind): ObjectHandle {
    const mechanism = kind.tokenKeyType === 'AES' ? AES_KEY_GENERATION : GENERIC_SECRET_GENERATION
    return this.#cryptoki.C_GenerateKey(session, mechanism, [
      ...hbkTemplate(kind, { extractable: true }),
      ...attributes({ VALUE_LEN: kind.lengthBytes }),
    ])
  }

  /** The handle belongs to the cache session, which is never lent. A verified record that does not unwrap is the token's fault. */
  #unwrap(unwrapKey: ObjectHandle, wrapped: Buffer, kind: HbkKind): ObjectHandle {
    const template = [...hbkTemplate(kind, { extractable: false }), ...attributes({ MODIFIABLE: false })]
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

function hbkTemplate(kind: HbkKind, { extractable }: { extractable: boolean }): Attributes {
  return attributes({
    CLASS: pkcs11.CKO_SECRET_KEY,
    KEY_TYPE: kind.tokenKeyType === 'AES' ? pkcs11.CKK_AES : pkcs11.CKK_GENERIC_SECRET,
    TOKEN: false,
    PRIVATE: true,
    SENSITIVE: true,
    EXTRACTABLE: extractable,
    ...NO_RIGHTS,
    [kind.right]: true,
  })
}

function kindOf(keySpec: string, keyUsage: string): HbkKind {
  const kind = KINDS.find(entry => entry.keySpec === keySpec && entry.keyUsage === keyUsage)
  if (kind === undefined) throw new HsmFault('key', `no HBK is made for ${keySpec} and ${keyUsage}`)
  return kind
}

/** The number in a ciphertext's header, from the EKT's scheme; 0 for kinds that make no ciphertext. */
function suiteOf(fields: EktFields, kind: HbkKind, kdf: Kdf): number {
  if (fields.tokenKeyType !== kind.tokenKeyType || fields.trueLength !== kind.lengthBytes) {
    throw new HsmFault('key', 'the EKT does not describe a key of its spec')
  }
  if (kind.purpose === undefined) return 0
  if (fields.kdf !== kdf) throw new HsmFault('key', `this token does not derive by ${fields.kdf}`)
  return KDF_SUITES[kdf]
}

function decode(record: Buffer): ReturnType<typeof decodeEkt> {
  try {
    return decodeEkt(record)
  } catch (error) {
    throw new HsmFault('key', 'not an EKT record', { cause: error })
  }
}
