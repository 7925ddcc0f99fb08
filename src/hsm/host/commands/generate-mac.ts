import { HsmFault } from '../../contract/fault.ts'
import { HMAC_BY_SPEC } from '../mechanisms.ts'
import type { Handler } from './command.ts'

const LONGEST_MAC_BYTES = 64

/** RFC 2104. The HBK of a KMS HMAC key only: the domain MAC key signs formats' own inputs and nothing a caller sent. */
export const generateMac: Handler<'generateMac'> = ({ backingKeys, sessions, token }, { ekt, message }) => {
  const hbk = backingKeys.forMac(ekt)
  const mechanism = HMAC_BY_SPEC[hbk.keySpec]
  if (mechanism === undefined) throw new HsmFault('key', `no MAC is made with ${hbk.keySpec}`)
  const mac = sessions.withSession(session => {
    token.cryptoki.C_SignInit(session, mechanism, hbk.handle)
    return token.cryptoki.C_Sign(session, message, Buffer.alloc(LONGEST_MAC_BYTES))
  })
  return { mac }
}
