/**
 * Imports (security.md 2.2 and 2.7): the wrapping key and its token, and an EKT of what came wrapped under it. Everything
 * that an EKT can say of the wrapping key comes from its verified EKT, never from the command.
 */
import { randomBytes } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { equalConstantTime, wipe } from '../../base/bytes.ts'
import { MID_BYTES } from '../../formats/ciphertext.ts'
import { type ImportTerms, importMacInput } from '../../formats/import-token.ts'
import { importCommitmentInput, importCommitmentOf, importedMidInput } from '../../formats/imported-material.ts'
import { IMPORTED_SECRET_BYTES } from '../../model/imports.ts'
import type { KeySpec } from '../../model/key-specs.ts'
import type { Args, Result } from '../contract/commands.ts'
import { HsmFault } from '../contract/fault.ts'
import type { BackingKeys } from './backing-keys.ts'
import { ckrCode } from './ckr.ts'
import { keepPrivateKey } from './clear-private-keys.ts'
import type { Attributes, Cryptoki, ObjectHandle, SessionHandle } from './cryptoki.ts'
import type { DomainKeys } from './domain-keys.ts'
import type { HbkRequest } from './hbk.ts'
import type { HbkMaker } from './hbk-maker.ts'
import { IMPORT_USAGE, type PairKind, pairKindOf, pairMid, readAttribute, spkiDigestOf } from './key-pairs.ts'
import { badMaterial, type MaterialImport, requireRefusal, type WrappingKey } from './material-import.ts'
import { HMAC_BY_SPEC, HMAC_SHA_256 } from './mechanisms.ts'
import { TokenFull } from './resident-keys.ts'
import type { Sessions } from './sessions.ts'

type Imported = Result<'importKeyMaterial'>

const NO_BYTES = Buffer.alloc(0)
const LONGEST_MAC_BYTES = 64
const SYMMETRIC_BYTES = 32
/** What RFC 5649 adds to a key, beside its padding to a multiple of as many. */
const WRAP_BLOCK_BYTES = 8

export class Imports {
  readonly #cryptoki: Cryptoki
  readonly #sessions: Sessions
  readonly #domain: DomainKeys
  readonly #hbkMaker: HbkMaker
  readonly #backingKeys: BackingKeys
  readonly #material: MaterialImport

  constructor(parts: {
    cryptoki: Cryptoki
    sessions: Sessions
    domain: DomainKeys
    hbkMaker: HbkMaker
    backingKeys: BackingKeys
    material: MaterialImport
  }) {
    this.#cryptoki = parts.cryptoki
    this.#sessions = parts.sessions
    this.#domain = parts.domain
    this.#hbkMaker = parts.hbkMaker
    this.#backingKeys = parts.backingKeys
    this.#material = parts.material
  }

  /** Generates a wrapping key for one KMS key, and MACs the terms on which it may be used. */
  createKey(args: Args<'createImportKey'>): Result<'createImportKey'> {
    const { account, kid, keySpec, algorithm, importId, notAfterMs } = args
    this.#material.rightFor(algorithm)
    const { record, publicKey } = this.#hbkMaker.create({ account, kid, keySpec, keyUsage: IMPORT_USAGE })
    const terms = { importId, algorithm, notAfterMs, account, kid, wrappingKeySpec: keySpec }
    const input = importMacInput({ ...terms, ...this.#place, spkiDigest: spkiDigestOf(publicKey) })
    return { record, publicKey, mac: this.#sessions.withSession(session => this.#domain.sign(session, input)) }
  }

  /** Throws HsmFault `input` for material that is not what its spec says, whatever is wrong with it. */
  import(args: Args<'importKeyMaterial'>): Imported {
    const { ekt, algorithm, importId, notAfterMs, materialSpec: keySpec, materialUsage: keyUsage } = args
    return this.#backingKeys.useWrappingKey(ekt, this.#material.rightFor(algorithm), (wrappingKey, fields) => {
      const { account, kid, spkiDigest, keySpec: wrappingKeySpec } = fields
      const terms = { account, kid, spkiDigest, wrappingKeySpec, ...this.#place, importId, algorithm, notAfterMs }
      const request = { account, kid, keySpec, keyUsage }
      return this.#sessions.withSession(session => {
        if (!this.#isToken(session, terms, args.mac)) return { ...NOTHING, outcome: 'token' }
        const pair = pairKindOf(keySpec, keyUsage)
        if (pair !== undefined && args.ckaId.length > 0)
          return this.#keepPair(session, wrappingKey, request, pair, args)
        if (pair !== undefined) return this.#importPair(session, wrappingKey, request, pair, args)
        return this.#importSecret(session, wrappingKey, request, args)
      })
    })
  }

  get #place(): Pick<ImportTerms, 'domainId' | 'region'> {
    return { domainId: this.#domain.id, region: this.#domain.region }
  }

  #isToken(session: SessionHandle, terms: ImportTerms, mac: Buffer): boolean {
    return this.#domain.verifiesByAny(session, importMacInput(terms), mac)
  }

  #importPair(
    session: SessionHandle,
    wrappingKey: WrappingKey,
    request: HbkRequest,
    pair: PairKind,
    { algorithm, wrapped }: Args<'importKeyMaterial'>,
  ): Imported {
    const { handle, publicKey } = this.#material.takePrivateKey(session, wrappingKey, algorithm, wrapped, pair)
    try {
      const mid = pairMid(request.kid, publicKey)
      const bytes = this.#hbkMaker.wrapImported(session, request, handle)
      const { tokenKeyType, lengthBytes: trueLength } = pair
      const made = { mid, tokenKeyType, trueLength, spkiDigest: spkiDigestOf(publicKey), bytes }
      const record = this.#hbkMaker.recordImported(session, request, made)
      return { ...NOTHING, outcome: 'imported', record, mid, publicKey }
    } finally {
      this.#cryptoki.C_DestroyObject(session, handle)
    }
  }

  /** A private key that stays in the token. A full token is an answer and no fault: it serves the keys that it has. */
  #keepPair(
    session: SessionHandle,
    wrappingKey: WrappingKey,
    request: HbkRequest,
    pair: PairKind,
    { algorithm, wrapped, ckaId }: Args<'importKeyMaterial'>,
  ): Imported {
    const pkcs8 = this.#material.openPrivateKey(session, wrappingKey, algorithm, wrapped)
    try {
      const take = (last: Attributes) => keepPrivateKey(this.#cryptoki, session, pair, pkcs8, last)
      const { record, mid, publicKey } = this.#hbkMaker.keepImported(session, request, pair, ckaId, take)
      return { ...NOTHING, outcome: 'imported', record, mid, publicKey }
    } catch (error) {
      if (error instanceof TokenFull) return { ...NOTHING, outcome: 'full' }
      throw error
    } finally {
      wipe(pkcs8)
    }
  }

  #importSecret(
    session: SessionHandle,
    wrappingKey: WrappingKey,
    request: HbkRequest,
    { algorithm, wrapped }: Args<'importKeyMaterial'>,
  ): Imported {
    const bounds = IMPORTED_SECRET_BYTES[request.keySpec as KeySpec]
    if (bounds === undefined) throw new HsmFault('key', `no material is imported into ${request.keySpec}`)
    const { handle, genuine } = this.#material.takeSecret(session, wrappingKey, algorithm, wrapped, bounds)
    try {
      const symmetric = HMAC_BY_SPEC[request.keySpec] === undefined
      // A token refuses to make a MAC with a key shorter than the hash: that key is as bad as any other, and goes on.
      const mac = this.#identify(session, handle, request, symmetric)
      const bytes = this.#hbkMaker.wrapImported(session, request, handle)
      const trueLength = this.#lengthOf(session, handle) ?? bytes.length - WRAP_BLOCK_BYTES
      const mid = symmetric ? (mac ?? randomBytes(MID_BYTES)) : randomBytes(MID_BYTES)
      const record = this.#hbkMaker.recordImported(session, request, { mid, trueLength, bytes })
      if (!genuine || mac === undefined || !fits(trueLength, bounds)) throw badMaterial()
      if (symmetric) return { ...NOTHING, outcome: 'imported', record, mid }
      if (!this.#comesBack(session, record, request, mac)) return { ...NOTHING, outcome: 'padded' }
      const commitment = importCommitmentOf(mac)
      wipe(mac)
      return { ...NOTHING, outcome: 'imported', record, mid, commitment }
    } finally {
      this.#cryptoki.C_DestroyObject(session, handle)
    }
  }

  /** The HMAC that tells a secret from others; undefined when the token makes none with it. */
  #identify(session: SessionHandle, handle: ObjectHandle, { kid, keySpec }: HbkRequest, symmetric: boolean) {
    const input = symmetric ? importedMidInput(kid, keySpec) : importCommitmentInput(kid, keySpec)
    try {
      this.#cryptoki.C_SignInit(session, HMAC_BY_SPEC[keySpec] ?? HMAC_SHA_256, handle)
      return this.#cryptoki.C_Sign(session, input, Buffer.alloc(LONGEST_MAC_BYTES))
    } catch (error) {
      if (ckrCode(error) === undefined) throw error
      requireRefusal(error)
      return undefined
    }
  }

  /** Undefined where the token does not tell: SoftHSM says 0 of what it has unwrapped. */
  #lengthOf(session: SessionHandle, handle: ObjectHandle): number | undefined {
    const bytes = readAttribute(this.#cryptoki, session, handle, pkcs11.CKA_VALUE_LEN)
    const length = bytes.length >= 8 ? Number(bytes.readBigUInt64LE()) : 0
    return length > 0 ? length : undefined
  }

  /**
   * Whether the EKT holds the same key. SoftHSM fills what it wraps with zeros to a multiple of 8 bytes, which HMAC does by
   * itself up to the block of its hash (RFC 2104 section 2) and not beyond.
   */
  #comesBack(session: SessionHandle, record: Buffer, { kid, keySpec }: HbkRequest, expected: Buffer): boolean {
    return this.#backingKeys.useOnce(record, ({ handle }) => {
      this.#cryptoki.C_SignInit(session, HMAC_BY_SPEC[keySpec] ?? HMAC_SHA_256, handle)
      const mac = this.#cryptoki.C_Sign(session, importCommitmentInput(kid, keySpec), Buffer.alloc(LONGEST_MAC_BYTES))
      const same = equalConstantTime(mac, expected)
      wipe(mac)
      return same
    })
  }
}

const NOTHING = { record: NO_BYTES, mid: NO_BYTES, publicKey: NO_BYTES, commitment: NO_BYTES }

/** A length that was read off wrapped bytes is one of a multiple of 8. */
function fits(lengthBytes: number, { min, max }: { min: number; max: number }): boolean {
  if (max === SYMMETRIC_BYTES) return lengthBytes === SYMMETRIC_BYTES
  return lengthBytes >= min && lengthBytes <= max
}
