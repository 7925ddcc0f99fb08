/**
 * HBKs taken into use: a record is verified, and what it stands for becomes a handle. A wrapped HBK is unwrapped into a session
 * object; a resident one is found in the token. Nothing a command claims of a key is used (security.md 2.5).
 */
import { KDF_SUITES, type Kdf } from '../../formats/derivation.ts'
import type { EktFields } from '../../formats/ekt.ts'
import { IMPORTED_SECRET_BYTES } from '../../model/imports.ts'
import type { KeySpec } from '../../model/key-specs.ts'
import { HsmFault, STALE_DOMAIN } from '../contract/fault.ts'
import type { MessageCiphers } from './ciphers/message-ciphers.ts'
import { type Attributes, attributes, type Cryptoki, type ObjectHandle } from './cryptoki.ts'
import type { Domains } from './domains.ts'
import type { EktRecords } from './ekt-records.ts'
import { type Hbk, NO_SPKI_DIGEST } from './hbk.ts'
import { type HbkKind, hbkTemplate, kindOf, objectOf } from './hbk-kinds.ts'
import type { HbkParts } from './hbk-parts.ts'
import { IMPORT_USAGE, type PairKind, pairKindOf, privateTemplate } from './key-pairs.ts'
import type { WrappingKey } from './material-import.ts'
import { residentFormOf } from './resident-forms.ts'
import { isResident, type ResidentKeys } from './resident-keys.ts'
import type { Sessions } from './sessions.ts'

/** Of keys that make no ciphertext. */
const NO_SUITE = 0

export class HbkLoader {
  readonly #cryptoki: Cryptoki
  readonly #sessions: Sessions
  readonly #domains: Domains
  readonly #ciphers: MessageCiphers
  readonly #resident: ResidentKeys
  readonly #records: EktRecords

  constructor(parts: HbkParts) {
    this.#cryptoki = parts.cryptoki
    this.#sessions = parts.sessions
    this.#domains = parts.domains
    this.#ciphers = parts.ciphers
    this.#resident = parts.resident
    this.#records = parts.records
  }

  /** The HBK of a record that verifies. Whoever asked unloads it. Throws HsmFault `key` and `token`. */
  load(record: Buffer): Hbk {
    const fields = this.#records.verified(record)
    const pair = pairKindOf(fields.keySpec, fields.keyUsage)
    if (pair !== undefined) return this.#loadPair(fields, pair)
    const kind = kindOf(fields.keySpec, fields.keyUsage)
    const kdf = kdfOf(fields, kind)
    const object = objectOf(kind, kdf, this.#ciphers)
    if (fields.tokenKeyType !== object.tokenKeyType || !isLengthOf(kind, fields)) {
      throw new HsmFault('key', 'the EKT does not describe a key of its spec')
    }
    return {
      handle: this.#take(fields, hbkTemplate(object, { inToken: false, extractable: false })),
      kid: Buffer.from(fields.kid),
      mid: Buffer.from(fields.mid),
      suite: kdf === undefined ? NO_SUITE : KDF_SUITES[kdf],
      keySpec: kind.keySpec,
      purpose: kind.purpose,
      pair: undefined,
      spkiDigest: NO_SPKI_DIGEST,
      resident: isResident(fields),
      importedAt: performance.now(),
    }
  }

  /** A session object is destroyed; a resident HBK stays, and only its handle is forgotten. */
  unload({ handle, resident }: Hbk): void {
    if (resident) return
    try {
      this.#cryptoki.C_DestroyObject(this.#sessions.cache, handle)
    } catch {
      // The object is gone already, with its session or login.
    }
  }

  /**
   * Runs `use` with the private half of an import's wrapping key, as an object of this call with one right. Nothing of it is
   * kept. Throws HsmFault `key` for an EKT of any other kind.
   */
  useWrappingKey<T>(record: Buffer, right: 'UNWRAP' | 'DECRYPT', use: (key: WrappingKey, fields: EktFields) => T): T {
    const fields = this.#records.verified(record)
    const pair = fields.keyUsage === IMPORT_USAGE ? pairKindOf(fields.keySpec, IMPORT_USAGE) : undefined
    if (pair === undefined) throw new HsmFault('key', 'the EKT is not for this purpose')
    const handle = this.#unwrap(fields, privateTemplate({ ...pair, right }, { extractable: false }))
    try {
      return use({ handle, modulusBytes: pair.lengthBytes }, fields)
    } finally {
      this.#cryptoki.C_DestroyObject(this.#sessions.cache, handle)
    }
  }

  /** Destroys the resident HBK of a record that verifies, for good. Throws HsmFault `key` for any other record. */
  destroyResident(record: Buffer): void {
    const fields = this.#records.verified(record)
    if (!isResident(fields)) throw new HsmFault('key', 'the HBK of the EKT does not reside in a token')
    const form = residentFormOf(this.#cryptoki, fields)
    this.#sessions.withSession(session => this.#resident.destroy(session, fields, form))
  }

  #loadPair(fields: EktFields, pair: PairKind): Hbk {
    if (fields.tokenKeyType !== pair.tokenKeyType || fields.trueLength !== pair.lengthBytes) {
      throw new HsmFault('key', 'the EKT does not describe a key of its spec')
    }
    return {
      handle: this.#take(fields, privateTemplate(pair, { extractable: false })),
      kid: Buffer.from(fields.kid),
      mid: Buffer.from(fields.mid),
      suite: NO_SUITE,
      keySpec: pair.keySpec,
      purpose: undefined,
      pair,
      spkiDigest: Buffer.from(fields.spkiDigest),
      resident: isResident(fields),
      importedAt: performance.now(),
    }
  }

  #take(fields: EktFields, template: Attributes): ObjectHandle {
    if (!isResident(fields)) return this.#unwrap(fields, template)
    const form = residentFormOf(this.#cryptoki, fields)
    return this.#sessions.withSession(session => this.#resident.find(session, fields, form))
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
}

/** MAC keys that were imported may have other lengths than those that are generated. */
function isLengthOf(kind: HbkKind, { origin, trueLength }: EktFields): boolean {
  if (origin !== 'EXTERNAL') return trueLength === kind.lengthBytes
  const bounds = IMPORTED_SECRET_BYTES[kind.keySpec as KeySpec]
  return bounds !== undefined && trueLength >= bounds.min && trueLength <= bounds.max
}

/** The scheme that the EKT names; undefined where nothing is derived. */
function kdfOf({ kdf }: EktFields, kind: HbkKind): Kdf | undefined {
  if (kind.purpose === undefined) return undefined
  if (!Object.hasOwn(KDF_SUITES, kdf)) throw new HsmFault('key', `no key is derived by ${kdf}`)
  return kdf as Kdf
}
