import { IV_BYTES, NONCE_BYTES } from '../../../formats/ciphertext.ts'
import { DATA_KEY_MAX_BYTES } from '../../contract/commands.ts'
import { HsmFault } from '../../contract/fault.ts'
import { type Handler, NO_BYTES } from './command.ts'

/** Nonce, IV and data key are one draw from the token's random generator. */
export const generateDataKey: Handler<'generateDataKey'> = ({ backingKeys, sealing, wipeLater }, args) => {
  const { lengthBytes, contextHash, plaintextWanted } = args
  if (lengthBytes < 1 || lengthBytes > DATA_KEY_MAX_BYTES) throw new HsmFault('input', 'length out of range')
  const hbk = backingKeys.forDerivation(args.ekt, 'data')
  const drawn = sealing.random(NONCE_BYTES + IV_BYTES + lengthBytes)
  wipeLater(drawn)
  const plaintext = drawn.subarray(NONCE_BYTES + IV_BYTES)
  const blob = sealing.seal(hbk, plaintext, contextHash, drawn)
  return { blob, plaintext: plaintextWanted ? plaintext : NO_BYTES }
}
