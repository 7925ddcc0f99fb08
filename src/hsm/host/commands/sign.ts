import { signatureRecipe } from '../signatures.ts'
import type { Handler } from './command.ts'

export const sign: Handler<'sign'> = ({ backingKeys, sessions, token }, { ekt, algorithm, bytes }) => {
  const { handle, pair } = backingKeys.forPrivateUse(ekt, 'SIGN')
  const recipe = signatureRecipe(pair, algorithm, bytes)
  const signature = sessions.withSession(session => {
    token.cryptoki.C_SignInit(session, recipe.mechanism, handle)
    return token.cryptoki.C_Sign(session, recipe.input(bytes), Buffer.alloc(recipe.signatureBytes))
  })
  return { signature: recipe.encode(signature) }
}
