/**
 * Whether a token enforces what seals a domain: each forbidden use is tried on the domain key that was just made, with
 * the rights a PIN holder has. A token that lets one through leaves the domain open, and operators are told.
 */
import pkcs11 from 'pkcs11js'
import { ckrCode } from '../ckr.ts'
import { attributes, NO_RIGHTS, type ObjectHandle, type SessionHandle } from '../cryptoki.ts'
import { generateHbk } from '../hbk-kinds.ts'
import { AES_KEY_GENERATION, oaepMechanism } from '../mechanisms.ts'
import type { Token } from '../token.ts'

const secretKey = { CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: pkcs11.CKK_AES, TOKEN: false, PRIVATE: true }

/** True when the token refused every attempt. */
export function enforcesBarrier(
  { cryptoki }: Token,
  session: SessionHandle,
  keys: { readonly gen: ObjectHandle; readonly use: ObjectHandle },
  wrapMechanism: pkcs11.Mechanism,
): boolean {
  const generate = (values: Parameters<typeof attributes>[0]) =>
    cryptoki.C_GenerateKey(
      session,
      AES_KEY_GENERATION,
      attributes({ ...secretKey, VALUE_LEN: 32, ...NO_RIGHTS, ...values }),
    )
  const own = generate({ SENSITIVE: true, EXTRACTABLE: false, WRAP: true })
  const victim = generate({ SENSITIVE: true, EXTRACTABLE: true, DERIVE: true })
  try {
    const ekt = cryptoki.C_WrapKey(session, wrapMechanism, keys.gen, victim, Buffer.alloc(64))
    const attempts: (() => unknown)[] = [
      () => cryptoki.C_SetAttributeValue(session, keys.use, attributes({ DECRYPT: true })),
      () => cryptoki.C_CopyObject(session, keys.use, attributes({ DECRYPT: true })),
      () => cryptoki.C_SetAttributeValue(session, keys.gen, attributes({ EXTRACTABLE: true })),
      () => cryptoki.C_WrapKey(session, wrapMechanism, own, keys.use, Buffer.alloc(64)),
      () => {
        const readable = { SENSITIVE: false, EXTRACTABLE: true, ...NO_RIGHTS, MODIFIABLE: false }
        const handle = cryptoki.C_UnwrapKey(
          session,
          wrapMechanism,
          keys.use,
          ekt,
          attributes({ ...secretKey, ...readable }),
        )
        cryptoki.C_DestroyObject(session, handle)
      },
    ]
    return attempts.every(isRefused)
  } finally {
    cryptoki.C_DestroyObject(session, own)
    cryptoki.C_DestroyObject(session, victim)
  }
}

/**
 * The same where HBKs reside in the token and nothing is wrapped: what a PIN holder may not do with the MAC key that was
 * just made, nor with an HBK.
 */
export function enforcesResidence(
  { cryptoki }: Token,
  session: SessionHandle,
  mac: { readonly sign: ObjectHandle; readonly verify: ObjectHandle },
): boolean {
  const object = { tokenKeyType: 'GENERIC_SECRET', right: 'SIGN', lengthBytes: 32 } as const
  const hbk = generateHbk(cryptoki, session, object, { inToken: false, extractable: false }, [
    ...attributes({ MODIFIABLE: false }),
  ])
  const own = cryptoki.C_GenerateKeyPair(
    session,
    { mechanism: pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN },
    attributes({ TOKEN: false, MODULUS_BITS: 2_048, PUBLIC_EXPONENT: Buffer.from('010001', 'hex'), WRAP: true }),
    attributes({ TOKEN: false, PRIVATE: true, SENSITIVE: true, DECRYPT: true }),
  )
  const read = (handle: ObjectHandle) => () =>
    cryptoki.C_GetAttributeValue(session, handle, [{ type: pkcs11.CKA_VALUE }])
  const change = (handle: ObjectHandle, values: Parameters<typeof attributes>[0]) => [
    () => cryptoki.C_SetAttributeValue(session, handle, attributes(values)),
    () => cryptoki.C_CopyObject(session, handle, attributes({ TOKEN: false, ...values })),
  ]
  const wrap = (handle: ObjectHandle) => () =>
    cryptoki.C_WrapKey(session, oaepMechanism('SHA-1'), own.publicKey, handle, Buffer.alloc(256))
  try {
    return [
      ...[hbk, mac.sign, mac.verify].flatMap(handle => [read(handle), wrap(handle)]),
      ...[hbk, mac.sign].flatMap(handle => change(handle, { EXTRACTABLE: true })),
      ...change(mac.verify, { SIGN: true }),
    ].every(isRefused)
  } finally {
    for (const handle of [hbk, own.publicKey, own.privateKey]) cryptoki.C_DestroyObject(session, handle)
  }
}

function isRefused(attempt: () => unknown): boolean {
  try {
    attempt()
    return false
  } catch (error) {
    if (ckrCode(error) === undefined) throw error
    return true
  }
}
