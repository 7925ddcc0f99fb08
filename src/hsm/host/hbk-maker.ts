/**
 * New HBKs: generated, and wrapped into EKT records at once. Where the token cannot wrap, an HBK resides in it
 * (resident-keys.ts), and its record says so in place of wrapped bytes.
 */
import { randomBytes } from 'node:crypto'
import { MID_BYTES } from '../../formats/ciphertext.ts'
import { KDF_SUITES } from '../../formats/derivation.ts'
import type { EktFields, WrapScheme } from '../../formats/ekt.ts'
import { HsmFault } from '../contract/fault.ts'
import type { MessageCiphers } from './ciphers/message-ciphers.ts'
import type { Attributes, Cryptoki, ObjectHandle, SessionHandle } from './cryptoki.ts'
import type { Domains, HostDomain } from './domains.ts'
import type { EktRecords } from './ekt-records.ts'
import { type Hbk, type HbkRequest, type NewHbk, NO_SPKI_DIGEST } from './hbk.ts'
import { generateHbk, type HbkObject, kindOf, objectOf } from './hbk-kinds.ts'
import type { HbkParts } from './hbk-parts.ts'
import {
  generatePair,
  generateResidentPair,
  type PairKind,
  pairKindOf,
  pairMid,
  publicJwk,
  spkiDigestOf,
  spkiOf,
} from './key-pairs.ts'
import { pairForm, secretForm } from './resident-forms.ts'
import type { ResidentKeys } from './resident-keys.ts'
import type { Sessions } from './sessions.ts'

const NO_PUBLIC_KEY = Buffer.alloc(0)
/** PKCS #8 of RSA-4096, wrapped, takes some 2,400 bytes. */
const WRAPPED_PAIR_MAX_BYTES = 4_096
/** What wrapping adds to a secret key at the most. */
const WRAPPING_MAX_BYTES = 32

export class HbkMaker {
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

  /** Whether this token wraps HBKs into records; otherwise they reside in it. */
  get wraps(): boolean {
    return this.#domains.region.capabilities.wrap !== undefined
  }

  /**
   * Generates an HBK and wraps it. The generated object is destroyed: what is used later comes out of the EKT. Throws HsmFault
   * `key` where this token does not wrap.
   */
  create(request: HbkRequest): NewHbk {
    const domain = this.#domains.of(request)
    const { wrap } = domain.capabilities
    if (wrap === undefined) throw new HsmFault('key', 'this token does not wrap keys: they reside in it')
    const pair = pairKindOf(request.keySpec, request.keyUsage)
    if (pair !== undefined) return this.#createPair(request, pair, domain, wrap)
    return this.#make(request, wrap.scheme, (session, _mid, object) => {
      const handle = generateHbk(this.#cryptoki, session, object, { inToken: false, extractable: true })
      try {
        const room = Buffer.alloc(object.lengthBytes + WRAPPING_MAX_BYTES)
        return {
          kind: 'wrapped',
          bytes: this.#cryptoki.C_WrapKey(session, wrap.mechanism, domain.keys.wrapKey, handle, room),
        }
      } finally {
        this.#cryptoki.C_DestroyObject(session, handle)
      }
    })
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

  /** An HBK without a record, which ends with the sessions of this lane: for known answers where none can be wrapped. */
  createUnrecorded(request: HbkRequest): Hbk {
    const kind = kindOf(request.keySpec, request.keyUsage)
    const { kdf } = this.#domains.of(request).capabilities
    const object = objectOf(kind, kdf, this.#ciphers)
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
      return this.#records.write(session, request, fields, 'EXTERNAL')
    }
    const kind = kindOf(request.keySpec, request.keyUsage)
    const kdf = kind.purpose === undefined ? undefined : capabilities.kdf
    const { tokenKeyType } = objectOf(kind, kdf, this.#ciphers)
    const fields = { mid, wrapScheme, kdf: kdf ?? '', tokenKeyType, trueLength, spkiDigest, body }
    return this.#records.write(session, request, fields, 'EXTERNAL')
  }

  /**
   * The record of a private key that came from outside and stays in this token under `ckaId`: `take` makes the object, with
   * the attributes that it is given last. Throws TokenFull.
   */
  keepImported(
    session: SessionHandle,
    request: HbkRequest,
    pair: PairKind,
    ckaId: Buffer,
    take: (last: Attributes) => { readonly handle: ObjectHandle; readonly publicKey: Buffer },
  ): NewHbk {
    const { kid } = request
    const form = pairForm(this.#cryptoki, pair)
    const { made, body } = this.#resident.create(session, { kid, ckaId }, form, last => {
      const taken = take(last)
      return { ...taken, mid: pairMid(kid, taken.publicKey) }
    })
    return this.#recordPair(session, request, pair, { ...made, wrapScheme: 'resident', body }, 'EXTERNAL')
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
    const object = objectOf(kind, kdf, this.#ciphers)
    const mid = randomBytes(MID_BYTES)
    const record = this.#sessions.withSession(session =>
      this.#records.write(session, request, {
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
    origin: EktFields['origin'] = 'AWS_KMS',
  ): NewHbk {
    const { mid, publicKey, wrapScheme, body } = made
    const fields = {
      ...({ mid, wrapScheme, kdf: '', tokenKeyType, trueLength: lengthBytes } as const),
      ...{ spkiDigest: spkiDigestOf(publicKey), body },
    }
    const record = this.#records.write(session, request, fields, origin)
    return { record, mid, publicKey }
  }
}
