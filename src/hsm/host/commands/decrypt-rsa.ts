import { isOaep, OAEP_HASH } from '../../../model/algorithms.ts'
import { HsmFault } from '../../contract/fault.ts'
import type { Handler } from './command.ts'

export const decryptRsa: Handler<'decryptRsa'> = ({ backingKeys, rsa, sessions, wipeLater }, args) => {
  const { handle, pair } = backingKeys.forPrivateUse(args.ekt, 'DECRYPT')
  const { algorithm, ciphertext } = args
  if (!isOaep(algorithm)) throw new HsmFault('key', `no key decrypts by ${algorithm}`)
  const plaintext = sessions.withSession(session =>
    rsa.decrypt(session, handle, pair.lengthBytes, OAEP_HASH[algorithm], ciphertext),
  )
  wipeLater(plaintext)
  return { plaintext }
}
