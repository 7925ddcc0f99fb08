/**
 * Where self-tests work: throw-away objects of one token and one session, all of which are gone at the end, and a list of
 * what each test said.
 */
import { constants, createPublicKey, publicEncrypt } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { HASH_OF_OAEP, type SelfTest } from '../../contract/token-profile.ts'
import { ckrCode, faultOf } from '../ckr.ts'
import {
  type Attributes,
  attributes,
  type Cryptoki,
  NO_RIGHTS,
  type ObjectHandle,
  type SessionHandle,
} from '../cryptoki.ts'
import { mechanismName } from '../mechanism-names.ts'
import { oaepMechanism } from '../mechanisms.ts'
import type { Token } from '../token.ts'
import type { Quirks } from './quirks.ts'

type Values = Parameters<typeof attributes>[0]

const CKF_SIGN = 0x800
const CKF_WRAP = 0x2_0000
const CKF_DERIVE = 0x8_0000
const CKF_ENCRYPT = 0x100
export const RIGHTS = { SIGN: CKF_SIGN, WRAP: CKF_WRAP, DERIVE: CKF_DERIVE, ENCRYPT: CKF_ENCRYPT } as const

/** The token answered otherwise than the standard says. */
export class WrongAnswer extends Error {}

export class Bench implements Disposable {
  readonly cryptoki: Cryptoki
  readonly tests: SelfTest[] = []
  readonly #session: SessionHandle
  readonly #token: Token
  readonly #listed: ReadonlySet<number>
  readonly #unlisted: ReadonlySet<number>
  readonly #objects: ObjectHandle[] = []
  #transport: { readonly spki: Buffer; readonly privateKey: ObjectHandle } | undefined

  constructor(token: Token, session: SessionHandle, quirks: Quirks) {
    this.cryptoki = token.cryptoki
    this.#token = token
    this.#session = session
    this.#listed = new Set(token.cryptoki.C_GetMechanismList(token.slot))
    this.#unlisted = new Set(quirks.unlisted)
  }

  get session(): SessionHandle {
    return this.#session
  }

  get token(): Token {
    return this.#token
  }

  /** Whether the token lists a mechanism of this name. */
  lists(name: string): boolean {
    return [...this.#listed].some(number => mechanismName(number) === name)
  }

  /** Whether the token lists a mechanism, and with this right. */
  offers(mechanism: number, right?: keyof typeof RIGHTS): boolean {
    if (this.#unlisted.has(mechanism)) return true
    if (!this.#listed.has(mechanism)) return false
    if (right === undefined) return true
    return (this.cryptoki.C_GetMechanismInfo(this.#token.slot, mechanism).flags & RIGHTS[right]) !== 0
  }

  /**
   * Runs a test and notes what it said; undefined where it failed. A fault of the module is thrown: the tests after it
   * would tell nothing.
   */
  try<T>(name: string, test: () => T): T | undefined {
    try {
      const result = test()
      this.tests.push({ name, outcome: 'passed', detail: '' })
      return result
    } catch (error) {
      this.tests.push({ name, outcome: 'failed', detail: explain(error) })
      return undefined
    }
  }

  /** Notes that a test was not made, and why. */
  skip(name: string, detail: string): undefined {
    this.tests.push({ name, outcome: 'not offered', detail })
    return undefined
  }

  /** The object is destroyed at the end. */
  keep(handle: ObjectHandle): ObjectHandle {
    this.#objects.push(handle)
    return handle
  }

  generateKey(keyType: number, values: Values, lengthBytes = 32): ObjectHandle {
    const mechanism = keyType === pkcs11.CKK_AES ? pkcs11.CKM_AES_KEY_GEN : pkcs11.CKM_GENERIC_SECRET_KEY_GEN
    const template = [...secretKey(keyType, values), ...attributes({ VALUE_LEN: lengthBytes })]
    return this.keep(this.cryptoki.C_GenerateKey(this.#session, { mechanism }, template))
  }

  /** A secret key of known value. Where C_CreateObject is refused, it is unwrapped by RSA-OAEP: known answers stay proofs. */
  importKey(keyType: number, values: Values, value: Buffer): ObjectHandle {
    try {
      const template = [...secretKey(keyType, values), ...attributes({ VALUE: value })]
      return this.keep(this.cryptoki.C_CreateObject(this.#session, template))
    } catch (error) {
      if (faultOf(error).kind !== 'key' && faultOf(error).kind !== 'token') throw error
      return this.#unwrapKnown(keyType, values, value, error)
    }
  }

  #unwrapKnown(keyType: number, values: Values, value: Buffer, refusal: unknown): ObjectHandle {
    if (!this.offers(pkcs11.CKM_RSA_PKCS_OAEP)) throw refusal
    this.#transport ??= this.#makeTransport()
    const { spki, privateKey } = this.#transport
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    let last = refusal
    for (const hash of ['SHA-256', 'SHA-1'] as const) {
      const oaepHash = HASH_OF_OAEP[hash]
      const wrapped = publicEncrypt({ key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, value)
      try {
        const template = secretKey(keyType, values)
        return this.keep(this.cryptoki.C_UnwrapKey(this.#session, oaepMechanism(hash), privateKey, wrapped, template))
      } catch (error) {
        last = error
      }
    }
    throw last
  }

  #makeTransport() {
    const { publicKey, privateKey } = this.cryptoki.C_GenerateKeyPair(
      this.#session,
      { mechanism: pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN },
      attributes({ TOKEN: false, MODULUS_BITS: 2_048, PUBLIC_EXPONENT: Buffer.from('010001', 'hex'), WRAP: true }),
      attributes({ TOKEN: false, PRIVATE: true, SENSITIVE: true, EXTRACTABLE: false, UNWRAP: true }),
    )
    this.keep(publicKey)
    this.keep(privateKey)
    const [modulus, exponent] = this.cryptoki.C_GetAttributeValue(this.#session, publicKey, [
      { type: pkcs11.CKA_MODULUS },
      { type: pkcs11.CKA_PUBLIC_EXPONENT },
    ])
    const n = Buffer.from(modulus?.value as Buffer).toString('base64url')
    const e = Buffer.from(exponent?.value as Buffer).toString('base64url')
    const spki = createPublicKey({ key: { kty: 'RSA', n, e }, format: 'jwk' }).export({ format: 'der', type: 'spki' })
    return { spki, privateKey }
  }

  [Symbol.dispose](): void {
    for (const handle of this.#objects.reverse()) {
      try {
        this.cryptoki.C_DestroyObject(this.#session, handle)
      } catch {
        // It went with what it was made from, or with its session.
      }
    }
  }
}

/** A secret session key with the rights given and no other. */
export function secretKey(keyType: number, values: Values): Attributes {
  return attributes({
    CLASS: pkcs11.CKO_SECRET_KEY,
    KEY_TYPE: keyType,
    TOKEN: false,
    PRIVATE: true,
    SENSITIVE: true,
    EXTRACTABLE: false,
    ...NO_RIGHTS,
    ...values,
  })
}

/** What a token answered, for operators. Throws what is no answer of a token. */
export function explain(error: unknown): string {
  if (error instanceof WrongAnswer) return error.message
  if (ckrCode(error) === undefined && !(error instanceof Error && error.name === 'HsmFault')) throw error
  const { kind, reason } = faultOf(error)
  if (kind === 'module') throw error
  return reason.replace(/^: /, '')
}
