import { HsmFault } from '../../contract/fault.ts'
import { Anchors } from '../anchors.ts'
import type { Handler } from './command.ts'

/** A token that keeps no data objects says that the template does not suit it: a fault of the kind `key`. */
export const writeAnchor: Handler<'writeAnchor'> = ({ token, sessions, domain }, anchor) => {
  const anchors = new Anchors(token.cryptoki, domain.id)
  try {
    return { written: sessions.withSession(session => anchors.write(session, anchor)) }
  } catch (error) {
    if (error instanceof HsmFault && error.kind === 'key') return { written: false }
    throw error
  }
}
