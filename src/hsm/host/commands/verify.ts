import { HsmFault } from '../../contract/fault.ts'
import { faultOfUntrustedData } from '../ckr.ts'
import { importPublicKey } from '../key-pairs.ts'
import { signatureRecipe } from '../signatures.ts'
import type { Handler } from './command.ts'

/** With the public key that the EKT's MAC covers, as a session object for the time of one call. */
export const verify: Handler<'verify'> = ({ backingKeys, sessions, token }, args) => {
  const { pair } = backingKeys.forPrivateUse(args.ekt, 'SIGN')
  const { cryptoki } = token
  const recipe = signatureRecipe(pair, args.algorithm, args.bytes)
  let signature: Buffer
  try {
    signature = recipe.decode(args.signature)
  } catch {
    return { valid: false }
  }
  backingKeys.requirePublicKey(args.ekt, args.publicKey)
  return sessions.withSession(session => {
    const publicKey = importPublicKey(cryptoki, session, pair, args.publicKey)
    try {
      cryptoki.C_VerifyInit(session, recipe.mechanism, publicKey)
      cryptoki.C_Verify(session, recipe.input(args.bytes), signature)
      return { valid: true }
    } catch (error) {
      const fault = error instanceof HsmFault ? error : faultOfUntrustedData(error)
      if (fault.kind === 'input') return { valid: false }
      throw fault
    } finally {
      cryptoki.C_DestroyObject(session, publicKey)
    }
  })
}
