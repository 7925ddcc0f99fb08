import pkcs11 from 'pkcs11js'
import { HsmFault } from '../../contract/fault.ts'
import { attributes, NO_RIGHTS } from '../cryptoki.ts'
import { publicPointOf, readAttribute } from '../key-pairs.ts'
import { ecdhMechanism } from '../mechanisms.ts'
import type { Handler } from './command.ts'

/**
 * The private operation is the token's. The peer's point is checked to be on the curve before (SP 800-56A section 5.6.2.3),
 * by OpenSSL, which does not make a key of one that is not.
 */
export const deriveSharedSecret: Handler<'deriveSharedSecret'> = (host, { ekt, peer }) => {
  const { backingKeys, sessions, token, wipeLater } = host
  const { handle, pair } = backingKeys.forPrivateUse(ekt, 'DERIVE')
  const point = publicPointOf(pair, peer)
  if (point === undefined) throw new HsmFault('input', 'InvalidPublicKey')
  const template = attributes({
    CLASS: pkcs11.CKO_SECRET_KEY,
    KEY_TYPE: pkcs11.CKK_GENERIC_SECRET,
    VALUE_LEN: pair.lengthBytes,
    TOKEN: false,
    PRIVATE: true,
    SENSITIVE: false,
    EXTRACTABLE: true,
    ...NO_RIGHTS,
  })
  const secret = sessions.withSession(session => {
    const derived = token.cryptoki.C_DeriveKey(session, ecdhMechanism(point), handle, template)
    try {
      return readAttribute(token.cryptoki, session, derived, pkcs11.CKA_VALUE)
    } finally {
      token.cryptoki.C_DestroyObject(session, derived)
    }
  })
  wipeLater(secret)
  return { secret }
}
