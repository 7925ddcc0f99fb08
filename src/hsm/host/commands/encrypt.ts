import { IV_BYTES, NONCE_BYTES } from '../../../formats/ciphertext.ts'
import type { Handler } from './command.ts'

export const encrypt: Handler<'encrypt'> = ({ backingKeys, sealing }, { ekt, plaintext, contextHash }) => {
  const hbk = backingKeys.forDerivation(ekt, 'data')
  return { blob: sealing.seal(hbk, plaintext, contextHash, sealing.random(NONCE_BYTES + IV_BYTES)) }
}
