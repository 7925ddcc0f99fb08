import { HsmFault } from '../../contract/fault.ts'
import { decapsulate as decapsulateInToken } from '../decapsulation.ts'
import type { Handler } from './command.ts'

/** What another key's ciphertext gives is a secret that nobody knows; only its length tells a ciphertext from none (FIPS 203). */
export const decapsulate: Handler<'decapsulate'> = (host, { ekt, ciphertext }) => {
  const { backingKeys, sessions, token, wipeLater } = host
  const { handle, pair } = backingKeys.forPrivateUse(ekt, 'DECAPSULATE')
  if (ciphertext.length !== pair.kem?.ciphertextBytes) throw new HsmFault('input', 'InvalidCiphertext')
  const secret = sessions.withSession(session => decapsulateInToken(token.cryptoki, session, handle, ciphertext))
  wipeLater(secret)
  return { secret }
}
