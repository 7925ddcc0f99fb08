import { RESIDENT_KEYS_PAGE } from '../../contract/commands.ts'
import type { Handler } from './command.ts'

/** Objects with a CKA_ID of another length were made by somebody else, label or not. */
export const listResidentKeys: Handler<'listResidentKeys'> = ({ sessions, resident }, { after }) => {
  const ckaIds = sessions.withSession(session => resident.list(session))
  const page = ckaIds.filter(ckaId => Buffer.compare(ckaId, after) > 0).toSorted(Buffer.compare)
  return { ckaIds: Buffer.concat(page.slice(0, RESIDENT_KEYS_PAGE)) }
}
