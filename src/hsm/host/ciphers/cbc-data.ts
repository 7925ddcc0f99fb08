/** Suite 1: the DEK by CKM_AES_CBC_ENCRYPT_DATA (SoftHSM, nShield, Luna, NSS, Kryoptic). */
import { NONCE_BYTES } from '../../../formats/ciphertext.ts'
import { CBC_NONCE_OFFSET, cbcDerivationData, forEachPurpose, ZERO_IV } from '../../../formats/derivation.ts'
import { aesCbcEncryptData } from '../mechanisms.ts'
import type { Derivation } from './in-token.ts'

/** One mechanism for each purpose, over data whose nonce each message replaces. */
export function cbcDataDerivation(): Derivation {
  const derivations = forEachPurpose(purpose => {
    const data = cbcDerivationData(purpose, Buffer.alloc(NONCE_BYTES))
    return { data, mechanism: aesCbcEncryptData(ZERO_IV, data) }
  })
  return (_hbk, purpose, nonce) => {
    const { data, mechanism } = derivations[purpose]
    data.set(nonce, CBC_NONCE_OFFSET)
    return mechanism
  }
}
