import { MalformedBytes } from '../../../base/bytes.ts'
import { decodeSealedSession, decodeSessionPayload, sessionAad } from '../../../formats/session-token.ts'
import { HsmFault } from '../../contract/fault.ts'
import { deriveSigningKey } from '../signing-key.ts'
import type { Handler } from './command.ts'

/** Every reason that a token may be refused for looks the same from outside. */
const INVALID_SESSION = 'not a session of this access key'

/** The secret stays here: the service gets the terms, and a signing key of one day, region and service. */
export const openSession: Handler<'openSession'> = ({ backingKeys, sealing, wipeLater }, args) => {
  const hbk = backingKeys.forDerivation(args.ekt, 'session')
  const { mid, nonce, iv, sealed } = wellFormed(() => decodeSealedSession(args.sealed))
  if (!mid.equals(hbk.mid)) throw new HsmFault('input', INVALID_SESSION)
  const plaintext = sealing.openBytes(hbk, 'session', nonce, iv, sessionAad({ mid, nonce }), sealed)
  wipeLater(plaintext)
  const { accessKeyId, secret, terms } = wellFormed(() => decodeSessionPayload(plaintext))
  if (accessKeyId !== args.accessKeyId) throw new HsmFault('input', INVALID_SESSION)
  return { signingKey: deriveSigningKey(secret, args, wipeLater), terms }
}

function wellFormed<T>(decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (error instanceof MalformedBytes) throw new HsmFault('input', INVALID_SESSION)
    throw error
  }
}
