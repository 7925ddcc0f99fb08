import { constants, publicEncrypt } from 'node:crypto'
import { IV_BYTES, NONCE_BYTES } from '../../../formats/ciphertext.ts'
import { isOaep, OAEP_HASH, oaepMaxBytes } from '../../../model/algorithms.ts'
import { HsmFault } from '../../contract/fault.ts'
import { publicKeyOf } from '../key-pairs.ts'
import type { Handler } from './command.ts'
import { decryptRsa } from './decrypt-rsa.ts'

/** Encrypting with a public key is no secret's business, but the plaintext is: so it happens here and not in the service. */
export const reEncryptRsa: Handler<'reEncryptRsa'> = (host, args) => {
  const { backingKeys, sealing, wipeLater } = host
  const { source, destination, sourceAlgorithm, destinationAlgorithm, blob } = args
  const sealUnder = isOaep(destinationAlgorithm) ? undefined : backingKeys.forDerivation(destination, 'data')
  if (sealUnder === undefined) backingKeys.requirePublicKey(destination, args.destinationPublicKey)
  const plaintext = isOaep(sourceAlgorithm)
    ? decryptRsa(host, { ekt: source, algorithm: sourceAlgorithm, ciphertext: blob }).plaintext
    : sealing.open(backingKeys.forDerivation(source, 'data'), blob, args.sourceContextHash)
  wipeLater(plaintext)
  if (sealUnder !== undefined) {
    const drawn = sealing.random(NONCE_BYTES + IV_BYTES)
    return { blob: sealing.seal(sealUnder, plaintext, args.destinationContextHash, drawn) }
  }
  return { blob: sealRsa(args.destinationPublicKey, destinationAlgorithm, plaintext) }
}

function sealRsa(spki: Buffer, algorithm: string, plaintext: Buffer): Buffer {
  if (!isOaep(algorithm)) throw new HsmFault('key', `no key encrypts by ${algorithm}`)
  const key = publicKeyOf(spki)
  const modulusBytes = (key.asymmetricKeyDetails?.modulusLength ?? 0) / 8
  if (plaintext.length > oaepMaxBytes(modulusBytes, algorithm)) throw new HsmFault('input', 'TooLongForRsa')
  return publicEncrypt({ key, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: OAEP_HASH[algorithm] }, plaintext)
}
