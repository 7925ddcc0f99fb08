import type { Handler } from './command.ts'

export const decrypt: Handler<'decrypt'> = ({ backingKeys, sealing, wipeLater }, { ekt, blob, contextHash }) => {
  const plaintext = sealing.open(backingKeys.forDerivation(ekt, 'data'), blob, contextHash)
  wipeLater(plaintext)
  return { plaintext }
}
