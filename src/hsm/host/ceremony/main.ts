/**
 * A ceremony process: one token, opened for an operator's commands and let go at their end. It serves the contract of
 * contract/ceremony.ts and nothing of the daemon's.
 */
import {
  type CeremonyArgs,
  type CeremonyName,
  type CeremonyResult,
  readCeremonyRequest,
  writeCeremonyAnswer,
} from '../../contract/ceremony.ts'
import { HsmFault } from '../../contract/fault.ts'
import { HostChannel } from '../channel.ts'
import { faultOf } from '../ckr.ts'
import { forbidDebugging } from '../hardening.ts'
import { CeremonyToken } from './ceremony-token.ts'
import { createDomain, describeDomain, destroyVersions, discardDomain } from './domain-commands.ts'
import { initialiseToken } from './initialise-token.ts'
import { inspectToken } from './inspect.ts'
import { fingerprintTransferKey, TransferCommands } from './transfer-commands.ts'

let opened: { readonly token: CeremonyToken; readonly transfers: TransferCommands } | undefined

const handlers: { readonly [C in CeremonyName]: (args: CeremonyArgs<C>) => CeremonyResult<C> } = {
  initialiseToken,
  open({ location }) {
    const token = new CeremonyToken(location)
    opened = { token, transfers: new TransferCommands(token) }
    return token.examination.profile
  },
  inspect: inspectToken,
  createDomain: args => createDomain(current().token, args),
  describeDomain: args => describeDomain(current().token, args),
  beginTransfer: () => current().transfers.begin(),
  fingerprintTransferKey,
  proveOfficer: args => current().transfers.proveOfficer(args),
  exportDomain: args => current().transfers.export(args),
  importDomain: args => current().transfers.import(args),
  destroyVersions: args => destroyVersions(current().token, args),
  beginRewrap: args => current().transfers.beginRewrap(args),
  rewrapEkts: args => current().transfers.rewrap(args),
  discardDomain: args => discardDomain(current().token, args),
}

forbidDebugging()
const channel = new HostChannel()
channel.serve(
  frame => {
    const { name, args } = readCeremonyRequest(frame)
    channel.writer.raw(perform(name, args))
  },
  () => {},
)

function perform(name: CeremonyName, args: unknown): Buffer {
  try {
    return writeCeremonyAnswer({ result: (handlers[name] as (args: unknown) => unknown)(args) })
  } catch (error) {
    return writeCeremonyAnswer({ fault: faultOf(error) })
  }
}

/** Throws HsmFault `input` before a token has been opened. */
function current(): NonNullable<typeof opened> {
  if (opened === undefined) throw new HsmFault('input', 'no token is open')
  return opened
}
