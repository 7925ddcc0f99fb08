import { TokenFull } from '../resident-keys.ts'
import { type Handler, NO_BYTES } from './command.ts'

/** A full token is an answer and no fault: it serves the keys that it has. */
export const createResidentKey: Handler<'createResidentKey'> = ({ hbkMaker }, { ckaId, ...request }) => {
  try {
    const { record, mid, publicKey } = hbkMaker.createResident(request, ckaId)
    return { full: false, record, mid, publicKey }
  } catch (error) {
    if (error instanceof TokenFull) return { full: true, record: NO_BYTES, mid: NO_BYTES, publicKey: NO_BYTES }
    throw error
  }
}
