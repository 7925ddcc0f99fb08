import { equalConstantTime } from '../../../base/bytes.ts'
import type { Handler } from './command.ts'
import { generateMac } from './generate-mac.ts'

/** The token makes the MAC anew, and the host compares: what C_Verify says to a wrong one differs from token to token. */
export const verifyMac: Handler<'verifyMac'> = (host, { ekt, message, mac: claimed }) => {
  const { mac } = generateMac(host, { ekt, message })
  host.wipeLater(mac)
  return { valid: equalConstantTime(mac, claimed) }
}
