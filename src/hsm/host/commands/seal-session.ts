import { IV_BYTES, NONCE_BYTES, TAG_BYTES } from '../../../formats/ciphertext.ts'
import { encodeSealedSession, encodeSessionPayload, sessionAad } from '../../../formats/session-token.ts'
import type { Handler } from './command.ts'
import { SECRET_ENTROPY_BYTES } from './create-access-key-secret.ts'

/** The terms are the service's own words: what they mean is decided there, and here they are only kept together. */
export const sealSession: Handler<'sealSession'> = ({ backingKeys, sealing, wipeLater }, args) => {
  const hbk = backingKeys.forDerivation(args.ekt, 'session')
  const drawn = sealing.random(NONCE_BYTES + IV_BYTES + SECRET_ENTROPY_BYTES)
  wipeLater(drawn)
  const secret = Buffer.from(drawn.toString('base64', NONCE_BYTES + IV_BYTES), 'ascii')
  wipeLater(secret)
  const nonce = drawn.subarray(0, NONCE_BYTES)
  const iv = drawn.subarray(NONCE_BYTES, NONCE_BYTES + IV_BYTES)
  const payload = encodeSessionPayload({ accessKeyId: args.accessKeyId, secret, terms: args.terms })
  wipeLater(payload)
  const sealed = Buffer.alloc(payload.length + TAG_BYTES)
  sealing.sealBytes(hbk, 'session', nonce, iv, sessionAad({ mid: hbk.mid, nonce }), payload, sealed)
  return { secret, sealed: encodeSealedSession({ mid: hbk.mid, nonce, iv, sealed }) }
}
