import { HsmFault } from '../../contract/fault.ts'
import type { Handler } from './command.ts'

const BYTES_PER_MB = 1_048_576

/**
 * Re-reads the token's serial, which alone tells a token that was pulled or initialised anew, looks at the login, and asks
 * for two known answers of each domain: a MAC of its MAC key, and a ciphertext under an EKT of its domain key.
 */
export const status: Handler<'status'> = ({ token, sessions, domains, backingKeys, canary, macCheckValue }) => {
  sessions.withSession(session => {
    if (token.cryptoki.C_GetTokenInfo(token.slot).serialNumber.trim() !== token.serial) {
      throw new HsmFault('token', 'the token in the slot is another one')
    }
    if (domains.macCheckValue(session) !== macCheckValue) throw new HsmFault('token', 'a domain MAC key is another one')
  })
  sessions.requireLogin()
  canary.prove()
  const { user, system } = process.cpuUsage()
  return {
    cachedHbks: backingKeys.cached,
    openSessions: sessions.open,
    residentMemoryMb: Math.round(process.memoryUsage.rss() / BYTES_PER_MB),
    cpuMicroseconds: user + system,
    hbkImports: backingKeys.imports,
  }
}
