import { IV_BYTES, NONCE_BYTES, TAG_BYTES } from '../../../formats/ciphertext.ts'
import { encodeSealedSecret, sealedSecretAad } from '../../../formats/sealed-secret.ts'
import type { Handler } from './command.ts'

/** 30 bytes are 40 characters of base64: the length of an AWS secret access key, without padding. */
export const SECRET_ENTROPY_BYTES = 30

export const createAccessKeySecret: Handler<'createAccessKeySecret'> = ({ backingKeys, sealing, wipeLater }, args) => {
  const hbk = backingKeys.forDerivation(args.ekt, 'identity')
  const drawn = sealing.random(NONCE_BYTES + IV_BYTES + SECRET_ENTROPY_BYTES)
  const secret = Buffer.from(drawn.toString('base64', NONCE_BYTES + IV_BYTES), 'ascii')
  wipeLater(drawn)
  wipeLater(secret)
  const nonce = drawn.subarray(0, NONCE_BYTES)
  const iv = drawn.subarray(NONCE_BYTES, NONCE_BYTES + IV_BYTES)
  const sealed = Buffer.alloc(secret.length + TAG_BYTES)
  const head = { suite: hbk.suite, mid: hbk.mid, nonce }
  sealing.sealBytes(hbk, 'identity', nonce, iv, sealedSecretAad(head, args), secret, sealed)
  return { secret, sealed: encodeSealedSecret({ ...head, iv, sealed }) }
}
