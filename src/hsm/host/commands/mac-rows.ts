import { rowMacInput } from '../../../formats/row-mac.ts'
import type { Handler } from './command.ts'

/** Nothing but records of this label is signed here, whatever a command says. */
export const macRows: Handler<'macRows'> = ({ sessions, domain }, { rows }) => {
  const { id: domainId, macVersion } = domain
  const macs = sessions.withSession(session =>
    rows.map(row => Buffer.from(domain.sign(session, rowMacInput({ ...row, domainId, macVersion })))),
  )
  return { macVersion, macs: Buffer.concat(macs) }
}
