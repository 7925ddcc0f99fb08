import { createHmac } from 'node:crypto'
import { decodeSealedSecret, type SealedSecret, sealedSecretAad } from '../../../formats/sealed-secret.ts'
import { HsmFault } from '../../contract/fault.ts'
import type { Handler } from './command.ts'

/**
 * The SigV4 signing key of one day, region and service:
 * HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request"). It signs nothing on another day, so it
 * is all that the service world gets of a secret.
 */
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
  let key = Buffer.concat([Buffer.from('AWS4', 'ascii'), plaintext])
  for (const part of [args.date, args.region, args.service, 'aws4_request']) {
    wipeLater(key)
    key = createHmac('sha256', key).update(part).digest()
  }
  wipeLater(key)
  return { signingKey: key }
}

function decode(sealed: Buffer): SealedSecret {
  try {
    return decodeSealedSecret(sealed)
  } catch (error) {
    throw new HsmFault('key', 'not a sealed secret', { cause: error })
  }
}
