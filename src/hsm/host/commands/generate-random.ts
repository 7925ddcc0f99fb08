import { DATA_KEY_MAX_BYTES } from '../../contract/commands.ts'
import { HsmFault } from '../../contract/fault.ts'
import type { Handler } from './command.ts'

export const generateRandom: Handler<'generateRandom'> = ({ sealing, wipeLater }, { lengthBytes }) => {
  if (lengthBytes < 1 || lengthBytes > DATA_KEY_MAX_BYTES) throw new HsmFault('input', 'length out of range')
  const random = sealing.random(lengthBytes)
  wipeLater(random)
  return { random }
}
