/**
 * Whether a token enforces what seals a domain: each forbidden use is tried on the domain key that was just made, with
 * the rights a PIN holder has. A token that lets one through leaves the domain open, and operators are told.
 */
import pkcs11 from 'pkcs11js'
import { ckrCode } from '../ckr.ts'
import { attributes, NO_RIGHTS, type ObjectHandle, type SessionHandle } from '../cryptoki.ts'
import { AES_KEY_GENERATION } from '../mechanisms.ts'
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

function isRefused(attempt: () => unknown): boolean {
  try {
    attempt()
    return false
  } catch (error) {
    if (ckrCode(error) === undefined) throw error
    return true
  }
}
