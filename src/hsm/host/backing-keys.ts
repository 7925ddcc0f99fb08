/**
 * HBKs: generated, wrapped into EKT records, verified and unwrapped again, and kept as handles in a bounded cache. Where
 * the token cannot wrap, an HBK resides in it (resident-keys.ts), and its record says so in place of wrapped bytes.
 *
 * The cache is keyed by the SHA-256 of the whole record, MAC included, which this host computes itself; an entry holds
 * the handle and the fields that the MAC proved. Nothing a command claims of a key is used (security.md 2.5).
 */
import { hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { MID_BYTES } from '../../formats/ciphertext.ts'
import { KDF_SUITES, type Kdf, type Purpose } from '../../formats/derivation.ts'
import {
  decodeEkt,
  type EktFields,
  ektMacInput,
  encodeEkt,
  SPKI_DIGEST_BYTES,
  type WrapScheme,
} from '../../formats/ekt.ts'
import { IMPORTED_SECRET_BYTES } from '../../model/imports.ts'
import type { KeySpec } from '../../model/key-specs.ts'
import { HsmFault, STALE_DOMAIN } from '../contract/fault.ts'
import type { EktReference } from '../contract/fields.ts'
import type { BaseKey } from './ciphers/message-cipher.ts'
import type { MessageCiphers } from './ciphers/message-ciphers.ts'
import { type Attributes, attributes, type Cryptoki, type ObjectHandle, type SessionHandle } from './cryptoki.ts'
import type { Domains, HostDomain } from './domains.ts'
import { generateHbk, type HbkKind, type HbkObject, hbkTemplate, kindOf } from './hbk-kinds.ts'
import {
  generatePair,
  generateResidentPair,
  IMPORT_USAGE,
  type PairKind,
  type PrivateRight,
  pairKindOf,
  pairMid,
  privateTemplate,
  publicJwk,
  spkiDigestOf,
  spkiOf,
} from './key-pairs.ts'
import type { WrappingKey } from './material-import.ts'
import { pairForm, type ResidentForm, secretForm } from './resident-forms.ts'
import { isResident, type ResidentKeys } from './resident-keys.ts'
import type { Sessions } from './sessions.ts'

/** The command named an EKT by its digest alone and this host does not hold it: the record is to be sent. */
export class NeedRecord extends Error {
  override readonly name = 'NeedRecord'
}

/** An HBK in the token: its handle, and what its verified EKT says. */
export interface Hbk extends BaseKey {
  readonly suite: number
  readonly keySpec: string
  /** Undefined for keys that make MACs, and for private keys. */
  readonly purpose: Purpose | undefined
  /** Of a private key: what it may do. */
  readonly pair: PairKind | undefined
  /** SHA-256 of the SubjectPublicKeyInfo; 32 zero bytes for secret keys. */
  readonly spkiDigest: Buffer
  /** A token object, which outlives its handle here. */
  readonly resident: boolean
  readonly importedAt: number
}

/** Whose HBK is to be made, and for what. */
export interface HbkRequest {
  readonly account: string
  readonly kid: Buffer
  readonly keySpec: string
  readonly keyUsage: string
}

/** What is left of a new HBK: its record, the id of its material, and its public half, if it has one. */
export interface NewHbk {
  readonly record: Buffer
  readonly mid: Buffer
  /** SubjectPublicKeyInfo, DER; empty for a secret key. */
  readonly publicKey: Buffer
}

const DIGEST_ENCODING = 'latin1'
const NO_PUBLIC_KEY = Buffer.alloc(0)
const NO_SPKI_DIGEST = Buffer.alloc(SPKI_DIGEST_BYTES)
/** PKCS #8 of RSA-4096, wrapped, takes some 2,400 bytes. */
const WRAPPED_PAIR_MAX_BYTES = 4_096
/** Of keys that make no ciphertext. */
const NO_SUITE = 0

export class BackingKeys {
  readonly #cryptoki: Cryptoki
  readonly #sessions: Sessions
  readonly #domains: Domains
  readonly #ciphers: MessageCiphers
  readonly #resident: ResidentKeys
  readonly #lifetimeMs: number
  readonly #cache: LRUCache<string, Hbk>
  #imports = 0

  constructor(
    parts: {
      cryptoki: Cryptoki
      sessions: Sessions
      domains: Domains
      ciphers: MessageCiphers
      resident: ResidentKeys
    },
    limits: { cachedHbks: number; hbkLifetimeMs: number },
  ) {
    this.#cryptoki = parts.cryptoki
    this.#sessions = parts.sessions
    this.#domains = parts.domains
    this.#ciphers = parts.ciphers
    this.#resident = parts.resident
    this.#lifetimeMs = limits.hbkLifetimeMs
    this.#cache = new LRUCache({ max: limits.cachedHbks, dispose: hbk => this.#letGo(hbk) })
  }

  /** EKTs that were verified and taken into use because the cache did not hold them. */
  get imports(): number {
    return this.#imports
  }

  get cached(): number {
    return this.#cache.size
  }

  /** Generates an HBK and wraps it. The generated object is destroyed: what is used later comes out of the EKT. */
  create(request: HbkRequest): NewHbk {
    const domain = this.#domains.of(request)
    const { wrap } = domain.capabilities
    if (wrap === undefined) throw new HsmFault('key', 'this token does not wrap keys: they reside in it')
    const pair = pairKindOf(request.keySpec, request.keyUsage)
    if (pair !== undefined) return this.#createPair(request, pair, domain, wrap)
    return this.#make(request, wrap.scheme, (session, _mid, object) => {
      const handle = generateHbk(this.#cryptoki, session, object, { inToken: false, extractable: true })
      try {
        const room = Buffer.alloc(object.lengthBytes + 32)
        return {
          kind: 'wrapped',
          bytes: this.#cryptoki.C_WrapKey(session, wrap.mechanism, domain.keys.wrapKey, handle, room),
        }
      } finally {
        this.#cryptoki.C_DestroyObject(session, handle)
      }
    })
  }

  /** Whether this token wraps HBKs into records; otherwise they reside in it. */
  get wraps(): boolean {
    return this.#domains.region.capabilities.wrap !== undefined
  }

  /** An HBK without a record, which ends with the sessions of this lane: for known answers where none can be wrapped. */
  createUnrecorded(request: HbkRequest): Hbk {
    const kind = kindOf(request.keySpec, request.keyUsage)
    const { kdf } = this.#domains.of(request).capabilities
    const object = this.#objectOf(kind, kdf)
    const place = { inToken: false, extractable: false }
    return {
      handle: generateHbk(this.#cryptoki, this.#sessions.cache, object, place),
      kid: request.kid,
      mid: randomBytes(MID_BYTES),
      suite: KDF_SUITES[kdf],
      keySpec: kind.keySpec,
      purpose: kind.purpose,
      pair: undefined,
      spkiDigest: NO_SPKI_DIGEST,
      resident: false,
      importedAt: performance.now(),
    }
  }

  /**
   * Generates an HBK that stays in this token under `ckaId`. The object is there before the record is: whoever asked has
   * written the CKA_ID down already. Throws TokenFull.
   */
  createResident(request: HbkRequest, ckaId: Buffer): NewHbk {
    const { kid, keySpec } = request
    const cryptoki = this.#cryptoki
    const pair = pairKindOf(keySpec, request.keyUsage)
    if (pair !== undefined) return this.#createResidentPair(request, pair, ckaId)
    return this.#make(request, 'resident', (session, mid, object) => {
      const generate = (last: Attributes) => {
        const place = { inToken: true, extractable: false }
        return { mid, handle: generateHbk(cryptoki, session, object, place, last) }
      }
      return this.#resident.create(session, { kid, ckaId }, secretForm(cryptoki, keySpec), generate).body
    })
  }

  /** Destroys the resident HBK of a record that verifies, for good. Throws HsmFault `key` for any other record. */
  destroyResident({ record }: EktReference): void {
    const fields = this.#verified(record)
    if (!isResident(fields)) throw new HsmFault('key', 'the HBK of the EKT does not reside in a token')
    this.#cache.delete(digestOf(record))
    this.#sessions.withSession(session => this.#resident.destroy(session, fields, this.#formOf(fields)))
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
   * Runs `use` with the private half of an import's wrapping key, as an object of this call with one right. Nothing of it is
   * kept. Throws HsmFault `key` for an EKT of any other kind.
   */
  useWrappingKey<T>(
    { record }: EktReference,
    right: 'UNWRAP' | 'DECRYPT',
    use: (key: WrappingKey, fields: EktFields) => T,
  ): T {
    if (record.length === 0) throw new NeedRecord()
    const fields = this.#verified(record)
    const pair = fields.keyUsage === IMPORT_USAGE ? pairKindOf(fields.keySpec, IMPORT_USAGE) : undefined
    if (pair === undefined) throw new HsmFault('key', 'the EKT is not for this purpose')
    const handle = this.#unwrap(fields, privateTemplate({ ...pair, right }, { extractable: false }))
    try {
      return use({ handle, modulusBytes: pair.lengthBytes }, fields)
    } finally {
      this.#cryptoki.C_DestroyObject(this.#sessions.cache, handle)
    }
  }

  /** Wraps an object of imported material under the domain key of the request's key. */
  wrapImported(session: SessionHandle, request: HbkRequest, handle: ObjectHandle): Buffer {
    const { keys, capabilities } = this.#domains.of(request)
    const { wrap } = capabilities
    if (wrap === undefined) throw new HsmFault('key', 'this token does not wrap keys: nothing is imported into it')
    const room = Buffer.alloc(WRAPPED_PAIR_MAX_BYTES)
    return Buffer.from(this.#cryptoki.C_WrapKey(session, wrap.mechanism, keys.wrapKey, handle, room))
  }

  /** The record of imported material. A secret is what its spec says, in the way of this token's region. */
  recordImported(
    session: SessionHandle,
    request: HbkRequest,
    made: { mid: Buffer; trueLength: number; bytes: Buffer } & Partial<Pick<EktFields, 'tokenKeyType' | 'spkiDigest'>>,
  ): Buffer {
    const { mid, trueLength, bytes, spkiDigest = NO_SPKI_DIGEST } = made
    const { capabilities } = this.#domains.of(request)
    const wrapScheme = capabilities.wrap?.scheme ?? 'resident'
    const body = { kind: 'wrapped', bytes } as const
    if (made.tokenKeyType !== undefined) {
      const { tokenKeyType } = made
      const fields = { mid, wrapScheme, kdf: '', tokenKeyType, trueLength, spkiDigest, body }
      return this.#record(session, request, fields, 'EXTERNAL')
    }
    const kind = kindOf(request.keySpec, request.keyUsage)
    const kdf = kind.purpose === undefined ? undefined : capabilities.kdf
    const { tokenKeyType } = this.#objectOf(kind, kdf)
    const fields = { mid, wrapScheme, kdf: kdf ?? '', tokenKeyType, trueLength, spkiDigest, body }
    return this.#record(session, request, fields, 'EXTERNAL')
  }

  evict(digest: Buffer): void {
    this.#cache.delete(digest.toString(DIGEST_ENCODING))
  }

  /** An HBK that is let go of after one use: the known-answer command pushes no other out of the cache. */
  useOnce<T>(record: Buffer, use: (hbk: Hbk) => T): T {
    const hbk = this.#import(record)
    try {
      return use(hbk)
    } finally {
      this.#letGo(hbk)
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
    const hbk = this.#import(record)
    this.#imports += 1
    this.#cache.set(key, hbk)
    return hbk
  }

  /** Verifies the record's MAC, and only then takes the HBK that it stands for into use. */
  #import(record: Buffer): Hbk {
    const fields = this.#verified(record)
    const pair = pairKindOf(fields.keySpec, fields.keyUsage)
    if (pair !== undefined) return this.#importPair(fields, pair)
    const kind = kindOf(fields.keySpec, fields.keyUsage)
    const kdf = kdfOf(fields, kind)
    const object = this.#objectOf(kind, kdf)
    if (fields.tokenKeyType !== object.tokenKeyType || !isLengthOf(kind, fields)) {
      throw new HsmFault('key', 'the EKT does not describe a key of its spec')
    }
    const resident = isResident(fields)
    return {
      handle: resident
        ? this.#sessions.withSession(session => this.#resident.find(session, fields, this.#formOf(fields)))
        : this.#unwrap(fields, hbkTemplate(object, { inToken: false, extractable: false })),
      kid: Buffer.from(fields.kid),
      mid: Buffer.from(fields.mid),
      suite: kdf === undefined ? NO_SUITE : KDF_SUITES[kdf],
      keySpec: kind.keySpec,
      purpose: kind.purpose,
      pair: undefined,
      spkiDigest: NO_SPKI_DIGEST,
      resident,
      importedAt: performance.now(),
    }
  }

  #importPair(fields: EktFields, pair: PairKind): Hbk {
    if (fields.tokenKeyType !== pair.tokenKeyType || fields.trueLength !== pair.lengthBytes) {
      throw new HsmFault('key', 'the EKT does not describe a key of its spec')
    }
    const resident = isResident(fields)
    return {
      handle: resident
        ? this.#sessions.withSession(session => this.#resident.find(session, fields, this.#formOf(fields)))
        : this.#unwrap(fields, privateTemplate(pair, { extractable: false })),
      kid: Buffer.from(fields.kid),
      mid: Buffer.from(fields.mid),
      suite: NO_SUITE,
      keySpec: pair.keySpec,
      purpose: undefined,
      pair,
      spkiDigest: Buffer.from(fields.spkiDigest),
      resident,
      importedAt: performance.now(),
    }
  }

  /** The fields of a record of this domain whose MAC the token says to be good. Throws HsmFault `key`. */
  #verified(record: Buffer): EktFields {
    const { fields, mac } = decode(record)
    const { keys } = this.#domains.of(fields)
    if (!fields.domainId.equals(keys.id)) throw new HsmFault('key', 'the EKT belongs to another domain')
    if (!keys.knowsMac(fields.macVersion)) throw new HsmFault('token', STALE_DOMAIN)
    const verified = this.#sessions.withSession(session =>
      keys.verifies(session, fields.macVersion, ektMacInput(fields), mac),
    )
    if (!verified) throw new HsmFault('key', 'the MAC of the EKT record does not verify')
    if (fields.region !== keys.region || fields.multiRegion !== this.#isMultiRegion(keys))
      throw new HsmFault('key', 'the EKT belongs to another region')
    return fields
  }

  /** Generates an HBK, puts it where `place` says, and writes its record. */
  #make(
    request: HbkRequest,
    wrapScheme: WrapScheme,
    place: (session: SessionHandle, mid: Buffer, object: HbkObject) => EktFields['body'],
  ): NewHbk {
    const kind = kindOf(request.keySpec, request.keyUsage)
    const { capabilities } = this.#domains.of(request)
    const kdf = kind.purpose === undefined ? undefined : capabilities.kdf
    const object = this.#objectOf(kind, kdf)
    const mid = randomBytes(MID_BYTES)
    const record = this.#sessions.withSession(session =>
      this.#record(session, request, {
        ...{ mid, wrapScheme, kdf: kdf ?? '' },
        tokenKeyType: object.tokenKeyType,
        trueLength: kind.lengthBytes,
        spkiDigest: NO_SPKI_DIGEST,
        body: place(session, mid, object),
      }),
    )
    return { record, mid, publicKey: NO_PUBLIC_KEY }
  }

  #createPair(
    request: HbkRequest,
    pair: PairKind,
    { keys }: HostDomain,
    wrap: NonNullable<HostDomain['capabilities']['wrap']>,
  ): NewHbk {
    const cryptoki = this.#cryptoki
    return this.#sessions.withSession(session => {
      const { publicKey: handle, privateKey } = generatePair(cryptoki, session, pair)
      try {
        const publicKey = spkiOf(publicJwk(cryptoki, session, pair, handle))
        const mid = pairMid(request.kid, publicKey)
        const room = Buffer.alloc(WRAPPED_PAIR_MAX_BYTES)
        const bytes = cryptoki.C_WrapKey(session, wrap.mechanism, keys.wrapKey, privateKey, room)
        return this.#recordPair(session, request, pair, {
          ...{ mid, publicKey, wrapScheme: wrap.scheme },
          body: { kind: 'wrapped', bytes },
        })
      } finally {
        cryptoki.C_DestroyObject(session, privateKey)
        cryptoki.C_DestroyObject(session, handle)
      }
    })
  }

  #createResidentPair(request: HbkRequest, pair: PairKind, ckaId: Buffer): NewHbk {
    const cryptoki = this.#cryptoki
    return this.#sessions.withSession(session => {
      const generate = (last: Attributes) => {
        const { publicKey: handle, privateKey } = generateResidentPair(cryptoki, session, pair, last)
        try {
          const publicKey = spkiOf(publicJwk(cryptoki, session, pair, handle))
          return { handle: privateKey, publicKey, mid: pairMid(request.kid, publicKey) }
        } catch (error) {
          cryptoki.C_DestroyObject(session, privateKey)
          throw error
        } finally {
          cryptoki.C_DestroyObject(session, handle)
        }
      }
      const form = pairForm(cryptoki, pair)
      const { made, body } = this.#resident.create(session, { kid: request.kid, ckaId }, form, generate)
      return this.#recordPair(session, request, pair, { ...made, wrapScheme: 'resident', body })
    })
  }

  #recordPair(
    session: SessionHandle,
    request: HbkRequest,
    { tokenKeyType, lengthBytes }: PairKind,
    made: Pick<EktFields, 'wrapScheme' | 'body'> & Pick<NewHbk, 'mid' | 'publicKey'>,
  ): NewHbk {
    const { mid, publicKey, wrapScheme, body } = made
    const record = this.#record(session, request, {
      ...{ mid, wrapScheme, kdf: '', tokenKeyType, trueLength: lengthBytes },
      ...{ spkiDigest: spkiDigestOf(publicKey), body },
    })
    return { record, mid, publicKey }
  }

  #formOf({ keySpec, keyUsage }: EktFields): ResidentForm {
    const pair = pairKindOf(keySpec, keyUsage)
    return pair === undefined ? secretForm(this.#cryptoki, keySpec) : pairForm(this.#cryptoki, pair)
  }

  #isMultiRegion(keys: HostDomain['keys']): boolean {
    return keys === this.#domains.multiRegion?.keys
  }

  /** Everything that the request and its domain say of a new HBK, and the MAC over it. */
  #record(
    session: SessionHandle,
    { account, kid, keySpec, keyUsage }: HbkRequest,
    made: Pick<EktFields, 'mid' | 'wrapScheme' | 'kdf' | 'tokenKeyType' | 'trueLength' | 'spkiDigest' | 'body'>,
    origin: 'AWS_KMS' | 'EXTERNAL' = 'AWS_KMS',
  ): Buffer {
    const { keys } = this.#domains.of({ kid, keyUsage })
    const fields: EktFields = {
      domainId: keys.id,
      dkVersion: keys.dkVersion,
      macVersion: keys.macVersion,
      region: keys.region,
      ...{ account, kid, keySpec, keyUsage },
      origin,
      multiRegion: this.#isMultiRegion(keys),
      ...made,
    }
    return encodeEkt(fields, keys.sign(session, ektMacInput(fields)))
  }

  /** `kdf` is undefined for keys that make MACs. Throws HsmFault `key` when this token does not derive by it. */
  #objectOf({ lengthBytes }: HbkKind, kdf: Kdf | undefined): HbkObject {
    if (kdf === undefined) return { tokenKeyType: 'GENERIC_SECRET', right: 'SIGN', lengthBytes }
    const cipher = this.#ciphers.byKdf(kdf)
    if (cipher === undefined) throw new HsmFault('key', `this token does not derive by ${kdf}`)
    return { tokenKeyType: kdf === 'AES-CBC-DATA' ? 'AES' : 'GENERIC_SECRET', right: cipher.hbkRight, lengthBytes }
  }

  /** The handle belongs to the cache session, which is never lent. A verified record that does not unwrap is the token's fault. */
  #unwrap(fields: EktFields, barred: Attributes): ObjectHandle {
    const { body, wrapScheme, dkVersion } = fields
    const { keys, capabilities } = this.#domains.of(fields)
    const { wrap } = capabilities
    if (body.kind !== 'wrapped' || wrap === undefined || wrapScheme !== wrap.scheme) {
      throw new HsmFault('key', `this token does not unwrap ${wrapScheme}`)
    }
    const unwrapKey = keys.unwrapKey(dkVersion)
    if (unwrapKey === undefined) throw new HsmFault('token', STALE_DOMAIN)
    const template = [...barred, ...attributes({ MODIFIABLE: false })]
    try {
      return this.#cryptoki.C_UnwrapKey(this.#sessions.cache, wrap.mechanism, unwrapKey, body.bytes, template)
    } catch (error) {
      throw new HsmFault('token', 'a verified EKT does not unwrap', { cause: error })
    }
  }

  /** A session object is destroyed; a resident HBK stays, and only its handle is forgotten. */
  #letGo({ handle, resident }: Hbk): void {
    if (resident) return
    try {
      this.#cryptoki.C_DestroyObject(this.#sessions.cache, handle)
    } catch {
      // The object is gone already, with its session or login.
    }
  }
}

/** MAC keys that were imported may have other lengths than those that are generated. */
function isLengthOf(kind: HbkKind, { origin, trueLength }: EktFields): boolean {
  if (origin !== 'EXTERNAL') return trueLength === kind.lengthBytes
  const bounds = IMPORTED_SECRET_BYTES[kind.keySpec as KeySpec]
  return bounds !== undefined && trueLength >= bounds.min && trueLength <= bounds.max
}

function digestOf(record: Buffer): string {
  return hash('sha256', record, 'buffer').toString(DIGEST_ENCODING)
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
