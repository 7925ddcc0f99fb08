/**
 * Whether a token holds to the attributes that keep a PIN holder from reading HBKs (security.md 3): each is put on a
 * throw-away key, and then what it forbids is tried with a PIN holder's rights.
 */
import pkcs11 from 'pkcs11js'
import type { Enforcement, TokenProfile } from '../../contract/token-profile.ts'
import { ckrCode, faultOf } from '../ckr.ts'
import { attributes, type ObjectHandle, unwrapTemplate } from '../cryptoki.ts'
import { type Bench, secretKey, WrongAnswer } from './bench.ts'
import type { KeyWraps } from './key-wrap.ts'
import { KNOWN_RSA_MODULUS } from './known-rsa-key.ts'

export type BarrierAttributes = Pick<TokenProfile, 'unwrapTemplate' | 'trusted' | 'modifiable' | 'rights'>

const WRAPPED_MAX_BYTES = 128
const RSA_EXPONENT = Buffer.from('010001', 'hex')

/** What a token does with each of the four. `untested` where it has nothing to try them by. */
export function tryBarrierAttributes(bench: Bench, wraps: KeyWraps): BarrierAttributes {
  const { cryptoki, session } = bench
  const [wrap] = wraps.values()
  const copy = (key: ObjectHandle, values: Parameters<typeof attributes>[0]) =>
    bench.keep(cryptoki.C_CopyObject(session, key, attributes(values)))
  const wrapKey = (kek: ObjectHandle, key: ObjectHandle) =>
    cryptoki.C_WrapKey(session, wrap as pkcs11.Mechanism, kek, key, Buffer.alloc(WRAPPED_MAX_BYTES))
  const aes = (values: Parameters<typeof attributes>[0]) => bench.generateKey(pkcs11.CKK_AES, values)
  return {
    unwrapTemplate:
      wrap === undefined
        ? 'untested'
        : verdict(bench, 'CKA_UNWRAP_TEMPLATE', () => {
            const barrier = unwrapTemplate({ SENSITIVE: true, EXTRACTABLE: false })
            const template = [
              ...secretKey(pkcs11.CKK_AES, { WRAP: true, UNWRAP: true }),
              ...attributes({ VALUE_LEN: 32 }),
            ]
            const mechanism = { mechanism: pkcs11.CKM_AES_KEY_GEN }
            const kek = bench.keep(cryptoki.C_GenerateKey(session, mechanism, [...template, barrier]))
            const wrapped = wrapKey(kek, aes({ EXTRACTABLE: true }))
            const readable = secretKey(pkcs11.CKK_AES, { SENSITIVE: false, EXTRACTABLE: true })
            return [() => bench.keep(cryptoki.C_UnwrapKey(session, wrap, kek, wrapped, readable))]
          }),
    trusted:
      wrap === undefined
        ? 'untested'
        : verdict(bench, 'CKA_WRAP_WITH_TRUSTED', () => {
            const key = aes({ EXTRACTABLE: true, WRAP_WITH_TRUSTED: true })
            const own = aes({ WRAP: true })
            const modulus = { MODULUS: KNOWN_RSA_MODULUS, PUBLIC_EXPONENT: RSA_EXPONENT }
            const publicKey = { CLASS: pkcs11.CKO_PUBLIC_KEY, KEY_TYPE: pkcs11.CKK_RSA, TOKEN: false, PRIVATE: false }
            const trusted = attributes({ ...publicKey, ...modulus, WRAP: true, TRUSTED: true })
            return [() => wrapKey(own, key), () => bench.keep(cryptoki.C_CreateObject(session, trusted))]
          }),
    modifiable: verdict(bench, 'CKA_MODIFIABLE', () => {
      const key = aes({ WRAP: true, MODIFIABLE: false })
      return [
        () => cryptoki.C_SetAttributeValue(session, key, attributes({ DECRYPT: true })),
        () => copy(key, { DECRYPT: true }),
      ]
    }),
    rights: verdict(bench, 'rights of a key', () => {
      const key = aes({})
      const read = () => cryptoki.C_GetAttributeValue(session, key, [{ type: pkcs11.CKA_VALUE }])
      const makeExtractable = [
        () => cryptoki.C_SetAttributeValue(session, key, attributes({ EXTRACTABLE: true })),
        () => copy(key, { EXTRACTABLE: true }),
      ]
      if (wrap === undefined) return [read, ...makeExtractable]
      const kek = aes({ WRAP: true })
      return [read, ...makeExtractable, () => wrapKey(kek, key), () => wrapKey(key, aes({ EXTRACTABLE: true }))]
    }),
  }
}

/** `prepare` makes the keys and returns what they forbid. */
function verdict(bench: Bench, name: string, prepare: () => readonly (() => unknown)[]): Enforcement {
  const attempts = bench.try(`${name} accepted`, prepare)
  if (attempts === undefined) return 'rejected'
  const enforced = bench.try(`${name} enforced`, () => {
    for (const attempt of attempts) requireRefusal(attempt)
    return true
  })
  return enforced === undefined ? 'accepted-not-enforced' : 'enforced'
}

function requireRefusal(attempt: () => unknown): void {
  try {
    attempt()
  } catch (error) {
    if (ckrCode(error) === undefined || faultOf(error).kind === 'module') throw error
    return
  }
  throw new WrongAnswer('what it forbids succeeds')
}
