import { rowMacInput } from '../../../formats/row-mac.ts'
import { HsmFault, STALE_DOMAIN } from '../../contract/fault.ts'
import type { Handler } from './command.ts'

export const verifyRows: Handler<'verifyRows'> = ({ sessions, domain }, { rows }) => {
  // A rotation may have made the version since this host started.
  if (rows.some(({ macVersion }) => !domain.knowsMac(macVersion))) throw new HsmFault('token', STALE_DOMAIN)
  const verdicts = sessions.withSession(session =>
    rows.map(({ mac, ...row }) =>
      domain.verifies(session, row.macVersion, rowMacInput({ ...row, domainId: domain.id }), mac) ? 1 : 0,
    ),
  )
  return { verdicts: Buffer.from(verdicts) }
}
