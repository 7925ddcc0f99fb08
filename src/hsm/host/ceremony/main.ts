/**
 * A ceremony process: one token, opened for an operator's commands and let go at their end. It serves the contract of
 * contract/ceremony.ts and nothing of the daemon's.
 */
import { createPublicKey } from 'node:crypto'
import { writeSync } from 'node:fs'
import pkcs11 from 'pkcs11js'
import { parsePkcs11Uri } from '../../../base/pkcs11-uri.ts'
import {
  type CeremonyArgs,
  type CeremonyName,
  type CeremonyResult,
  type DomainForks,
  type DomainInToken,
  type PinSource,
  readCeremonyRequest,
  writeCeremonyAnswer,
} from '../../contract/ceremony.ts'
import { HsmFault } from '../../contract/fault.ts'
import type { TokenLocation } from '../../contract/host-configuration.ts'
import { chooseCapabilities } from '../capabilities.ts'
import { CHANNEL_FD, HostChannel } from '../channel.ts'
import { faultOf } from '../ckr.ts'
import { attributes, findObjects, type SessionHandle } from '../cryptoki.ts'
import {
  AUDIT,
  dkGen,
  dkUse,
  domainKeyCheckValue,
  findDomainObject,
  macKeyCheckValue,
  macSign,
  macVerify,
} from '../domain-keys.ts'
import { forbidDebugging } from '../hardening.ts'
import { oaepMechanism } from '../mechanisms.ts'
import { type Examination, examineToken } from '../profile/examine.ts'
import {
  listTokens,
  load,
  logIn,
  logInOfficer,
  openSession,
  openToken,
  readPin,
  type Token,
  type TokenIdentity,
} from '../token.ts'
import { enforcesBarrier, enforcesResidence } from './barrier.ts'
import { inspectToken } from './inspect.ts'
import {
  generateAuditKey,
  generateMacVersionByCopy,
  generateVersion,
  installVersion,
  readEcPoint,
} from './sealed-keys.ts'
import {
  forgetTransferKeys,
  generateTransferPair,
  type TransferPair,
  trustTransferKey,
  wrapForTransfer,
} from './transfer.ts'

/** PKCS#11 wants labels of exactly this length, padded with blanks; pkcs11js does not pad. */
const LABEL_BYTES = 32
const DOMAIN_ID_BYTES = 16

interface OpenToken {
  readonly token: Token
  readonly session: SessionHandle
  readonly examination: Examination
}

let opened: OpenToken | undefined
let transferPair: TransferPair | undefined

const handlers: { readonly [C in CeremonyName]: (args: CeremonyArgs<C>) => CeremonyResult<C> } = {
  initialiseToken,
  open,
  inspect: inspectToken,
  createDomain,
  describeDomain,
  beginTransfer,
  exportDomain,
  importDomain,
  discardDomain,
}

forbidDebugging()
new HostChannel().serve(
  frame => {
    const { name, args } = readCeremonyRequest(frame)
    writeSync(CHANNEL_FD, perform(name, args))
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

function initialiseToken(args: CeremonyArgs<'initialiseToken'>): CeremonyResult<'initialiseToken'> {
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

function open({ location }: { location: TokenLocation }): CeremonyResult<'open'> {
  const token = openToken(location)
  const session = openSession(token)
  logIn(token, session)
  const examination = examineToken(token, session, location.profile)
  opened = { token, session, examination }
  return examination.profile
}

function createDomain(domain: DomainForks): DomainInToken {
  const { token, session } = openedToken()
  const { domainId, domainKeys, macKeys } = domain
  const mechanism = wrapMechanismOf(domain)
  if (mechanism === undefined) {
    if (domainKeys.length > 0) throw new HsmFault('input', `token "${token.label}" cannot wrap: it has no domain key`)
    for (const version of macKeys) generateMacVersionByCopy(token, session, domainId, version)
  } else {
    for (const version of domainKeys) generateVersion(token, session, 'dk', domainId, version, mechanism)
    for (const version of macKeys) generateVersion(token, session, 'mac', domainId, version, mechanism)
  }
  generateAuditKey(token, session, domainId, auditFork(domain))
  return describeWhole(domain)
}

function describeDomain(domain: DomainForks): DomainInToken | null {
  const { token, session } = openedToken()
  const { domainId } = domain
  const find = (name: string, forkId: string, objectClass?: number) =>
    findDomainObject(token.cryptoki, session, name, domainId, forkId, objectClass)
  const mechanism = wrapMechanismOf(domain)
  const domainKeys = domain.domainKeys.map(({ version, forkId }) => {
    const gen = find(dkGen(version), forkId)
    const use = find(dkUse(version), forkId)
    if (gen === undefined || use === undefined || mechanism === undefined) return undefined
    const checkValue = domainKeyCheckValue(token.cryptoki, session, gen, mechanism)
    return {
      key: { version, forkId, checkValue },
      enforced: () => enforcesBarrier(token, session, { gen, use }, mechanism),
    }
  })
  const macKeys = domain.macKeys.map(({ version, forkId }) => {
    const sign = find(macSign(version), forkId)
    const verify = find(macVerify(version), forkId)
    if (sign === undefined || verify === undefined) return undefined
    const checkValue = macKeyCheckValue(token.cryptoki, session, sign)
    return { key: { version, forkId, checkValue }, enforced: () => enforcesResidence(token, session, { sign, verify }) }
  })
  const audit = find(AUDIT, auditFork(domain), pkcs11.CKO_PUBLIC_KEY)
  const tried = domainKeys[0] ?? macKeys[0]
  if (tried === undefined || audit === undefined || domainKeys.includes(undefined) || macKeys.includes(undefined))
    return null
  return {
    domainKeys: domainKeys.flatMap(entry => entry?.key ?? []),
    macKeys: macKeys.flatMap(entry => entry?.key ?? []),
    auditPublicKey: spkiOfP256(readEcPoint(token, session, audit)).toString('base64'),
    sealed: tried.enforced(),
  }
}

function beginTransfer(): CeremonyResult<'beginTransfer'> {
  const { token, session } = openedToken()
  transferPair = generateTransferPair(token, session)
  return transferPair.publicHalf
}

/** The officer and the user cannot be logged in at once: the officer marks, the user wraps, the officer removes. */
function exportDomain(args: CeremonyArgs<'exportDomain'>): CeremonyResult<'exportDomain'> {
  const { token, session } = openedToken()
  const officerPin = args.officerPin && pinOf(args.officerPin)
  const asOfficer = (work: () => void) => {
    if (officerPin === undefined) return work()
    token.cryptoki.C_Logout(session)
    try {
      logInOfficer(token, session, officerPin)
      work()
      token.cryptoki.C_Logout(session)
    } finally {
      logIn(token, session)
    }
  }
  asOfficer(() => {
    forgetTransferKeys(token, session)
    trustTransferKey(token, session, args.transferKey)
  })
  try {
    const { domainId, domainKeys, macKeys } = args.domain
    const handleOf = (name: string, forkId: string) => {
      const handle = findDomainObject(token.cryptoki, session, name, domainId, forkId)
      if (handle === undefined) throw new HsmFault('token', `token "${token.label}" does not hold ${name}`)
      return handle
    }
    const handles = [
      ...domainKeys.map(({ version, forkId }) => handleOf(dkUse(version), forkId)),
      ...macKeys.map(({ version, forkId }) => handleOf(macVerify(version), forkId)),
    ]
    const { oaepHash, wrapped } = wrapForTransfer(token, session, args.transferKey, handles)
    return { oaepHash, domainKeys: wrapped.slice(0, domainKeys.length), macKeys: wrapped.slice(domainKeys.length) }
  } finally {
    asOfficer(() => forgetTransferKeys(token, session))
  }
}

function importDomain({ domain, transfer }: CeremonyArgs<'importDomain'>): DomainInToken {
  const { token, session } = openedToken()
  const pair = transferPair
  if (pair === undefined) throw new HsmFault('input', 'no transfer was begun in this token')
  const install = (kind: 'dk' | 'mac', versions: DomainForks['domainKeys'], blobs: readonly string[]) => {
    versions.forEach((version, index) => {
      const wrapped = Buffer.from(blobs[index] ?? '', 'base64')
      installVersion(token, session, kind, domain.domainId, version, template =>
        token.cryptoki.C_UnwrapKey(session, oaepMechanism(transfer.oaepHash), pair.privateKey, wrapped, template),
      )
    })
  }
  try {
    install('dk', domain.domainKeys, transfer.domainKeys)
    install('mac', domain.macKeys, transfer.macKeys)
  } finally {
    token.cryptoki.C_DestroyObject(session, pair.privateKey)
    transferPair = undefined
  }
  generateAuditKey(token, session, domain.domainId, auditFork(domain))
  return describeWhole(domain)
}

function discardDomain({ domainId }: { domainId: string }): { destroyed: number } {
  const { token, session } = openedToken()
  const id = Buffer.from(domainId, 'hex')
  const handles = findObjects(token.cryptoki, session, attributes({ TOKEN: true })).filter(handle => {
    const [attribute] = token.cryptoki.C_GetAttributeValue(session, handle, [{ type: pkcs11.CKA_ID }])
    return Buffer.from(attribute?.value as Buffer)
      .subarray(0, DOMAIN_ID_BYTES)
      .equals(id)
  })
  for (const handle of handles) token.cryptoki.C_DestroyObject(session, handle)
  return { destroyed: handles.length }
}

function openedToken(): OpenToken {
  if (opened === undefined) throw new HsmFault('input', 'no token is open')
  return opened
}

/** How the domain wraps in this token; undefined where HBKs reside. Throws HsmFault when the token lacks its schemes. */
function wrapMechanismOf({ schemes }: DomainForks): pkcs11.Mechanism | undefined {
  return chooseCapabilities(openedToken().examination, schemes).wrap?.mechanism
}

function describeWhole(domain: DomainForks): DomainInToken {
  const described = describeDomain(domain)
  if (described === null) throw new HsmFault('token', 'the token does not hold every key it was asked to make')
  return described
}

/** The audit key belongs to no version; it carries the fork id of the first key of the domain, which is as unique. */
function auditFork({ domainKeys, macKeys }: DomainForks): string {
  return (domainKeys[0] ?? macKeys[0])?.forkId ?? ''
}

function pinOf(source: PinSource): string {
  return 'file' in source ? readPin(source.file) : source.typed
}

function describe({ label, serial, manufacturer, model }: TokenIdentity): TokenIdentity {
  return { label, serial, manufacturer, model }
}

function spkiOfP256(point: Buffer): Buffer {
  const coordinate = (start: number) => point.subarray(start, start + 32).toString('base64url')
  const key = { kty: 'EC', crv: 'P-256', x: coordinate(1), y: coordinate(33) }
  return createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'der' })
}
