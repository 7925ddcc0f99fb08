import { decodeSealedSecret, type SealedSecret, sealedSecretAad } from '../../../formats/sealed-secret.ts'
import { HsmFault } from '../../contract/fault.ts'
import { deriveSigningKey } from '../signing-key.ts'
import type { Handler } from './command.ts'

/** The signing key is all that the service world gets of a secret. */
export const openSigningKey: Handler<'openSigningKey'> = ({ backingKeys, sealing, wipeLater }, args) => {
  const hbk = backingKeys.forDerivation(args.ekt, 'identity')
  const secret = decode(args.sealed)
  if (secret.suite !== hbk.suite || !secret.mid.equals(hbk.mid)) throw new HsmFault('key', 'sealed under another HBK')
  const plaintext = sealing.openBytes(
    hbk,
    'identity',
    secret.nonce,
    secret.iv,
    sealedSecretAad(secret, args),
    secret.sealed,
  )
  wipeLater(plaintext)
  return { signingKey: deriveSigningKey(plaintext, args, wipeLater) }
}

function decode(sealed: Buffer): SealedSecret {
  try {
    return decodeSealedSecret(sealed)
  } catch (error) {
    throw new HsmFault('key', 'not a sealed secret', { cause: error })
  }
}
