import { IV_BYTES, NONCE_BYTES } from '../../../formats/ciphertext.ts'
import type { Handler } from './command.ts'

/** Both HBKs are looked up first, so that a record to be sent is asked for before anything is opened. */
export const reEncrypt: Handler<'reEncrypt'> = ({ backingKeys, sealing, wipeLater }, args) => {
  const source = backingKeys.forDerivation(args.source, 'data')
  const destination = backingKeys.forDerivation(args.destination, 'data')
  const plaintext = sealing.open(source, args.blob, args.sourceContextHash)
  wipeLater(plaintext)
  const drawn = sealing.random(NONCE_BYTES + IV_BYTES)
  return { blob: sealing.seal(destination, plaintext, args.destinationContextHash, drawn) }
}
