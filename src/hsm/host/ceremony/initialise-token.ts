/** A token is made in a free slot, where a module has one: SoftHSM's, for trying out. */
import { parsePkcs11Uri } from '../../../base/pkcs11-uri.ts'
import type { CeremonyArgs, CeremonyResult } from '../../contract/ceremony.ts'
import { HsmFault } from '../../contract/fault.ts'
import { listTokens, load, logInOfficer, openSession, readPin, type Token, type TokenIdentity } from '../token.ts'
import { pinOf } from './ceremony-token.ts'

/** PKCS#11 wants labels of exactly this length, padded with blanks; pkcs11js does not pad. */
const LABEL_BYTES = 32

/** Leaves a token of that label as it is. Throws HsmFault. */
export function initialiseToken(args: CeremonyArgs<'initialiseToken'>): CeremonyResult<'initialiseToken'> {
  const uri = parsePkcs11Uri(args.location.uri)
  const { token: label } = uri
  if (label === undefined) throw new HsmFault('input', 'the URI must name the new token by "token"')
  const cryptoki = load(uri, args.location)
  const named = () => listTokens(cryptoki).find(token => token.label === label)
  const existing = named()
  if (existing !== undefined) return { ...describe(existing), initialised: false }
  const initialised = new Set(listTokens(cryptoki).map(({ slotId }) => slotId))
  const free = cryptoki.C_GetSlotList(true).find(slot => !initialised.has(Number(slot.readBigUInt64LE(0))))
  if (free === undefined) throw new HsmFault('token', `${uri.modulePath} has no free slot`)
  const officerPin = pinOf(args.officerPin)
  cryptoki.C_InitToken(free, officerPin, label.padEnd(LABEL_BYTES, ' '))
  const created = named()
  if (created === undefined) throw new HsmFault('token', `token "${label}" did not appear after C_InitToken`)
  const token: Token = { cryptoki, uri, ...created }
  const session = openSession(token)
  logInOfficer(token, session, officerPin)
  cryptoki.C_InitPIN(session, readPin(uri.pinFile))
  cryptoki.C_Logout(session)
  cryptoki.C_CloseSession(session)
  return { ...describe(created), initialised: true }
}

function describe({ label, serial, manufacturer, model }: TokenIdentity): TokenIdentity {
  return { label, serial, manufacturer, model }
}
