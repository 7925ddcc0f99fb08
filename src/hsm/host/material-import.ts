/**
 * Takes imported key material into the token: from a ciphertext under a wrapping key that the token made, to an object that
 * may leave for the one moment in which it is wrapped into an EKT.
 *
 * A caller may be an attacker who alters a ciphertext that it has caught, and learns from what is answered (Manger, CRYPTO
 * 2001). So nothing is answered before the end: where padding, length or bytes are bad, a stand-in of the token's own making
 * goes the rest of the way, and the one error comes last (security.md 2.7).
 */
import { createCipheriv, ECDH, hash, type KeyObject, randomBytes, verify } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { wipe } from '../../base/bytes.ts'
import { type WrappingFacts, wrappingFacts } from '../../model/imports.ts'
import { HsmFault } from '../contract/fault.ts'
import { OAEP_NAMES } from '../contract/token-profile.ts'
import type { Capabilities } from './capabilities.ts'
import { faultOf } from './ckr.ts'
import {
  type Attributes,
  attributes,
  type Cryptoki,
  NO_RIGHTS,
  type ObjectHandle,
  type SessionHandle,
} from './cryptoki.ts'
import { generatorOf, type PairKind, privateTemplate, publicKeyOf, readAttribute, spkiOf } from './key-pairs.ts'
import { AES_KEY_GENERATION, ecdhMechanism, GENERIC_SECRET_GENERATION, oaepMechanism } from './mechanisms.ts'
import type { RsaDecryption } from './rsa-decryption.ts'
import { signatureRecipe } from './signatures.ts'

/** A wrapping key in the token, with the rights that its algorithm needs here. */
export interface WrappingKey {
  readonly handle: ObjectHandle
  readonly modulusBytes: number
}

/** An object of imported material, or a stand-in for it, which the caller destroys. */
export interface Taken {
  readonly handle: ObjectHandle
  /** False when padding or bytes were bad, and what the handle stands for is nobody's. */
  readonly genuine: boolean
}

interface Bounds {
  readonly min: number
  readonly max: number
}

/** What a secret that came by OAEP is to be in the token. */
interface SecretShape {
  readonly keyType: number
  readonly generation: pkcs11.Mechanism
  readonly rights: Readonly<Record<string, boolean>>
  readonly extractable: boolean
}

const SECRET: SecretShape = {
  keyType: pkcs11.CKK_GENERIC_SECRET,
  generation: GENERIC_SECRET_GENERATION,
  rights: { SIGN: true },
  extractable: true,
}
const AES: SecretShape = {
  keyType: pkcs11.CKK_AES,
  generation: AES_KEY_GENERATION,
  rights: { UNWRAP: true },
  extractable: false,
}
/** What is read out at once. */
const READABLE = attributes({
  ...{ CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: pkcs11.CKK_GENERIC_SECRET, TOKEN: false, PRIVATE: true },
  ...{ SENSITIVE: false, EXTRACTABLE: true, ...NO_RIGHTS },
})
const AES_KEY_BYTES = 32
const AES_BOUNDS = { min: AES_KEY_BYTES, max: AES_KEY_BYTES }
const RFC5649_IV = Buffer.from('a65959a6', 'hex')
/** What an imported private key signs to show that it is the other half of a public key. */
export const PROOF = Buffer.from('strongroom/import/proof/1', 'latin1')
const SMALLEST_EXPONENT = 65_537n
const COMPRESSED_EVEN = Buffer.from([0x02])

export class MaterialImport {
  readonly #cryptoki: Cryptoki
  readonly #rsa: RsaDecryption
  readonly #capabilities: Capabilities
  readonly #inHostAllowed: boolean

  /** Where the token cannot unwrap by an algorithm, material passes through this process, if `inHostAllowed`. */
  constructor(
    parts: { cryptoki: Cryptoki; rsa: RsaDecryption; capabilities: Capabilities },
    { inHostAllowed }: { inHostAllowed: boolean },
  ) {
    this.#cryptoki = parts.cryptoki
    this.#rsa = parts.rsa
    this.#capabilities = parts.capabilities
    this.#inHostAllowed = inHostAllowed
  }

  /** The one right of a wrapping key for this algorithm. Throws HsmFault `key` for an algorithm that is not done here. */
  rightFor(algorithm: string): 'UNWRAP' | 'DECRYPT' {
    if (this.#inToken(factsOf(algorithm))) return 'UNWRAP'
    if (!this.#inHostAllowed)
      throw new HsmFault('key', `${algorithm} is not done in this token, and not allowed outside`)
    return 'DECRYPT'
  }

  /** A secret, as a generic secret that makes MACs and may be wrapped. Throws HsmFault. */
  takeSecret(session: SessionHandle, key: WrappingKey, algorithm: string, wrapped: Buffer, bounds: Bounds): Taken {
    const facts = factsOf(algorithm)
    if (facts.twoSteps) throw new HsmFault('key', `no secret is imported by ${algorithm}`)
    return this.#transport(session, key, facts, wrapped, SECRET, bounds)
  }

  /** A private key, which signs to prove its public half and may be wrapped. Throws HsmFault, `input` for bad material. */
  takePrivateKey(
    session: SessionHandle,
    key: WrappingKey,
    algorithm: string,
    wrapped: Buffer,
    kind: PairKind,
  ): { handle: ObjectHandle; publicKey: Buffer } {
    const facts = factsOf(algorithm)
    const template = importTemplate(kind)
    const handle = facts.twoSteps
      ? this.#unwrapTwoSteps(session, key, facts, wrapped, template)
      : this.#unwrapOneStep(session, key, facts, wrapped, template)
    try {
      return { handle, publicKey: this.#provenPublicKey(session, kind, handle) }
    } catch (error) {
      this.#cryptoki.C_DestroyObject(session, handle)
      throw refusedOrBroken(error)
    }
  }

  /**
   * A private key as PKCS #8 in this process, for kinds that a token does not take wrapped. The caller wipes it; where the
   * padding was bad it is no key. Throws HsmFault.
   */
  openPrivateKey(session: SessionHandle, key: WrappingKey, algorithm: string, wrapped: Buffer): Buffer {
    if (!this.#inHostAllowed) throw new HsmFault('key', 'material must not leave the token in the clear')
    const facts = factsOf(algorithm)
    if (!facts.twoSteps && !this.#inToken(facts))
      return this.#openInHost(session, key, facts, wrapped) ?? randomBytes(AES_KEY_BYTES)
    const handle = facts.twoSteps
      ? this.#unwrapTwoSteps(session, key, facts, wrapped, READABLE)
      : this.#unwrapOneStep(session, key, facts, wrapped, READABLE)
    try {
      return readAttribute(this.#cryptoki, session, handle, pkcs11.CKA_VALUE)
    } finally {
      this.#cryptoki.C_DestroyObject(session, handle)
    }
  }

  #inToken({ hash: name }: WrappingFacts): boolean {
    return this.#capabilities.profile.oaepUnwraps.includes(OAEP_NAMES[name])
  }

  /** A secret that came by OAEP, as an object of this template. */
  #transport(
    session: SessionHandle,
    key: WrappingKey,
    facts: WrappingFacts,
    wrapped: Buffer,
    { keyType, generation, rights, extractable }: SecretShape,
    { min, max }: Bounds,
  ): Taken {
    const cryptoki = this.#cryptoki
    const template = secretTemplate(keyType, rights, extractable)
    if (this.#inToken(facts)) {
      try {
        const mechanism = oaepMechanism(OAEP_NAMES[facts.hash])
        return { handle: cryptoki.C_UnwrapKey(session, mechanism, key.handle, wrapped, template), genuine: true }
      } catch (error) {
        requireRefusal(error)
        const standIn = [...template, ...attributes({ VALUE_LEN: min })]
        return { handle: cryptoki.C_GenerateKey(session, generation, standIn), genuine: false }
      }
    }
    const opened = this.#openInHost(session, key, facts, wrapped)
    const genuine = opened !== undefined && opened.length >= min && opened.length <= max
    const value = genuine ? opened : randomBytes(min)
    try {
      const handle = cryptoki.C_CreateObject(session, [...template, ...attributes({ VALUE: value })])
      return { handle, genuine }
    } finally {
      wipe(opened, value)
    }
  }

  /** CKM_RSA_AES_KEY_WRAP in two calls: the AES key by OAEP, then the material by RFC 5649. */
  #unwrapTwoSteps(
    session: SessionHandle,
    key: WrappingKey,
    facts: WrappingFacts,
    wrapped: Buffer,
    template: Attributes,
  ): ObjectHandle {
    const [first, second] = [wrapped.subarray(0, key.modulusBytes), wrapped.subarray(key.modulusBytes)]
    const { handle: aesKey } = this.#transport(session, key, facts, first, AES, AES_BOUNDS)
    try {
      return this.#unwrapPadded(session, aesKey, second, template)
    } finally {
      this.#cryptoki.C_DestroyObject(session, aesKey)
    }
  }

  /** A private key short enough for OAEP. */
  #unwrapOneStep(
    session: SessionHandle,
    key: WrappingKey,
    facts: WrappingFacts,
    wrapped: Buffer,
    privateKey: Attributes,
  ): ObjectHandle {
    if (this.#inToken(facts)) {
      const mechanism = oaepMechanism(OAEP_NAMES[facts.hash])
      return refusing(() => this.#cryptoki.C_UnwrapKey(session, mechanism, key.handle, wrapped, privateKey))
    }
    const opened = this.#openInHost(session, key, facts, wrapped) ?? randomBytes(AES_KEY_BYTES)
    // The token reads PKCS #8, so that nothing here has to: it is handed over under a key of one use.
    const value = randomBytes(AES_KEY_BYTES)
    const template = secretTemplate(AES.keyType, AES.rights, AES.extractable)
    const aesKey = this.#cryptoki.C_CreateObject(session, [...template, ...attributes({ VALUE: value })])
    try {
      const cipher = createCipheriv('id-aes256-wrap-pad', value, RFC5649_IV)
      const again = Buffer.concat([cipher.update(opened), cipher.final()])
      return this.#unwrapPadded(session, aesKey, again, privateKey)
    } finally {
      wipe(opened, value)
      this.#cryptoki.C_DestroyObject(session, aesKey)
    }
  }

  #unwrapPadded(session: SessionHandle, aesKey: ObjectHandle, wrapped: Buffer, template: Attributes): ObjectHandle {
    const { keyWrapPad } = this.#capabilities
    if (keyWrapPad === undefined) throw new HsmFault('key', 'this token does not unwrap by RFC 5649')
    return refusing(() => this.#cryptoki.C_UnwrapKey(session, keyWrapPad, aesKey, wrapped, template))
  }

  /** The message of OAEP; undefined when it is none. The caller wipes it. */
  #openInHost(session: SessionHandle, key: WrappingKey, facts: WrappingFacts, wrapped: Buffer): Buffer | undefined {
    if (!this.#inHostAllowed) throw new HsmFault('key', 'material must not leave the token in the clear')
    try {
      return this.#rsa.decrypt(session, key.handle, key.modulusBytes, facts.hash, wrapped)
    } catch (error) {
      requireRefusal(error)
      return undefined
    }
  }

  /**
   * The public half of an imported private key, worked out by the token and proven by a signature. Throws HsmFault `input`
   * for a key that is not of this kind.
   */
  #provenPublicKey(session: SessionHandle, kind: PairKind, handle: ObjectHandle): Buffer {
    const candidates =
      kind.curve === undefined ? [this.#rsaPublicKey(session, handle)] : this.#points(session, kind, handle)
    if (!candidates.every(spki => isOfKind(publicKeyOf(spki), kind))) throw badMaterial()
    const algorithm = kind.curve === undefined ? 'RSASSA_PKCS1_V1_5_SHA_256' : 'ECDSA_SHA_256'
    const digest = hash('sha256', PROOF, 'buffer')
    const recipe = signatureRecipe(kind, algorithm, digest)
    this.#cryptoki.C_SignInit(session, recipe.mechanism, handle)
    const raw = this.#cryptoki.C_Sign(session, recipe.input(digest), Buffer.alloc(recipe.signatureBytes))
    const signature = recipe.encode(raw)
    const proven = candidates.find(spki => verify('sha256', PROOF, publicKeyOf(spki), signature))
    if (proven === undefined) throw badMaterial()
    return proven
  }

  #rsaPublicKey(session: SessionHandle, handle: ObjectHandle): Buffer {
    const read = (type: number) => readAttribute(this.#cryptoki, session, handle, type).toString('base64url')
    return spkiOf({ kty: 'RSA', n: read(pkcs11.CKA_MODULUS), e: read(pkcs11.CKA_PUBLIC_EXPONENT) })
  }

  /**
   * The two public keys that a private key on the curve may have. A token tells no point of a private key, but agreement with
   * the generator gives its x-coordinate (SP 800-56A section 5.7.1.2), which two points share.
   */
  #points(session: SessionHandle, kind: PairKind, handle: ObjectHandle): Buffer[] {
    const { curve, lengthBytes } = kind
    if (curve === undefined) return []
    const parameters = readAttribute(this.#cryptoki, session, handle, pkcs11.CKA_EC_PARAMS)
    if (!parameters.equals(curve.parameters)) throw badMaterial()
    const name = curve.opensslName
    const template = attributes({
      ...{ CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: pkcs11.CKK_GENERIC_SECRET, VALUE_LEN: lengthBytes },
      ...{ TOKEN: false, PRIVATE: true, SENSITIVE: false, EXTRACTABLE: true, ...NO_RIGHTS },
    })
    const derived = this.#cryptoki.C_DeriveKey(session, ecdhMechanism(generatorOf(kind)), handle, template)
    try {
      const x = readAttribute(this.#cryptoki, session, derived, pkcs11.CKA_VALUE)
      const compressed = Buffer.concat([COMPRESSED_EVEN, Buffer.alloc(lengthBytes - x.length), x])
      const even = ECDH.convertKey(compressed, name, undefined, undefined, 'uncompressed') as Buffer
      compressed[0] = 0x03
      const odd = ECDH.convertKey(compressed, name, undefined, undefined, 'uncompressed') as Buffer
      return [even, odd].map(point => {
        const [first, second] = [point.subarray(1, 1 + lengthBytes), point.subarray(1 + lengthBytes)]
        const [px, py] = [first.toString('base64url'), second.toString('base64url')]
        return spkiOf({ kty: 'EC', crv: curve.jwkName, x: px, y: py })
      })
    } finally {
      this.#cryptoki.C_DestroyObject(session, derived)
    }
  }
}

/** The one answer to material that is not what it should be, whatever is wrong with it. */
export function badMaterial(cause?: unknown): HsmFault {
  return new HsmFault('input', 'the key material cannot be imported', cause === undefined ? {} : { cause })
}

/** Throws unless the error may mean that the token refused bytes: then it is the caller's fault, or said to be. */
export function requireRefusal(error: unknown): void {
  const fault = faultOf(error)
  const code = fault.cause as { code?: unknown } | undefined
  const refused = fault.kind === 'input' || fault.kind === 'key' || AMBIGUOUS.has(Number(code?.code))
  if (!refused) throw fault
}

/** CKR_GENERAL_ERROR and CKR_FUNCTION_FAILED, which SoftHSM gives for bad padding and for bytes that are no key. */
const AMBIGUOUS: ReadonlySet<number> = new Set([0x05, 0x06])

function refusing<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw refusedOrBroken(error)
  }
}

function refusedOrBroken(error: unknown): HsmFault {
  requireRefusal(error)
  // Without its cause: a refusal is the caller's, and does not make the host look at its token.
  return badMaterial()
}

function factsOf(algorithm: string): WrappingFacts {
  const facts = wrappingFacts(algorithm)
  if (facts === undefined) throw new HsmFault('key', `nothing is imported by ${algorithm}`)
  return facts
}

function secretTemplate(keyType: number, rights: Readonly<Record<string, boolean>>, extractable: boolean): Attributes {
  const identity = { CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: keyType, TOKEN: false, PRIVATE: true }
  return attributes({ ...identity, SENSITIVE: true, EXTRACTABLE: extractable, ...NO_RIGHTS, ...rights })
}

/** Signing proves the public half; agreement finds it, on curves. The EKT gives the key its own one right. */
function importTemplate(kind: PairKind): Attributes {
  const right = kind.curve === undefined ? [] : attributes({ DERIVE: true })
  const template = privateTemplate({ ...kind, right: 'SIGN' }, { extractable: true })
  const replaced = new Set(right.map(({ type }) => type))
  return [...template.filter(({ type }) => !replaced.has(type)), ...right]
}

function isOfKind(key: KeyObject, { curve, lengthBytes }: PairKind): boolean {
  const { modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {}
  if (curve !== undefined) return key.asymmetricKeyType === 'ec'
  return modulusLength === lengthBytes * 8 && (publicExponent ?? 0n) >= SMALLEST_EXPONENT
}
