import type { Handler } from './command.ts'

export const checkPublicKey: Handler<'checkPublicKey'> = ({ backingKeys }, { ekt, publicKey }) => ({
  matches: backingKeys.isPublicKeyOf(ekt, publicKey),
})
