/**
 * A ceremony process: one token, opened for an operator's commands and let go at their end. It serves the contract of
 * contract/ceremony.ts and nothing of the daemon's.
 */
import pkcs11 from 'pkcs11js'
import { parsePkcs11Uri } from '../../../base/pkcs11-uri.ts'
import {
  type CeremonyArgs,
  type CeremonyName,
  type CeremonyResult,
  type DomainForks,
  type DomainInToken,
  type KeyInToken,
  type PinSource,
  readCeremonyRequest,
  writeCeremonyAnswer,
} from '../../contract/ceremony.ts'
import { HsmFault } from '../../contract/fault.ts'
import type { TokenLocation } from '../../contract/host-configuration.ts'
import type { OaepHash } from '../../contract/token-profile.ts'
import { spkiOfP256 } from '../audit-key.ts'
import { type Capabilities, chooseCapabilities } from '../capabilities.ts'
import { HostChannel } from '../channel.ts'
import { faultOf } from '../ckr.ts'
import { attributes, findObjects, type ObjectHandle, type SessionHandle } from '../cryptoki.ts'
import {
  AUDIT,
  DomainKeys,
  dkGen,
  dkUse,
  domainKeyCheckValue,
  findDomainObject,
  labelOf,
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
import { Rewrap } from './rewrap.ts'
import {
  generateAuditKey,
  generateMacVersionByCopy,
  generateVersion,
  installVersion,
  readCheckValue,
  readEcPoint,
  type UnwrapKey,
} from './sealed-keys.ts'
import {
  fingerprintOf,
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
let rewrap: Rewrap | undefined

const handlers: { readonly [C in CeremonyName]: (args: CeremonyArgs<C>) => CeremonyResult<C> } = {
  initialiseToken,
  open,
  inspect: inspectToken,
  createDomain,
  describeDomain,
  beginTransfer,
  fingerprintTransferKey,
  proveOfficer,
  exportDomain,
  importDomain,
  destroyVersions,
  beginRewrap,
  rewrapEkts,
  discardDomain,
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
  const mechanism = capabilitiesFor(domain).wrap?.mechanism
  if (mechanism === undefined) {
    if (domainKeys.length > 0) throw new HsmFault('input', `token "${token.label}" cannot wrap: it has no domain key`)
    for (const version of macKeys) generateMacVersionByCopy(token, session, domainId, version)
  } else {
    for (const version of domainKeys) generateVersion(token, session, 'dk', domainId, version, mechanism)
    for (const version of macKeys) generateVersion(token, session, 'mac', domainId, version, mechanism)
  }
  ensureAuditKey(domain)
  return describeDomain(domain)
}

function describeDomain(domain: DomainForks): DomainInToken {
  const { token, session } = openedToken()
  const mechanism = capabilitiesFor(domain).wrap?.mechanism
  const { domainId } = domain
  const find = (name: string, forkId: string) =>
    findDomainObject(token.cryptoki, session, name, domainId, forkId, pkcs11.CKO_SECRET_KEY)
  const enforced: (() => boolean)[] = []
  const domainKeys = domain.domainKeys.map(({ version, forkId }): KeyInToken => {
    const gen = find(dkGen(version), forkId)
    const use = find(dkUse(version), forkId)
    if (gen !== undefined && use !== undefined && mechanism !== undefined)
      enforced.push(() => enforcesBarrier(token, session, { gen, use }, mechanism))
    const checkValue =
      gen === undefined || mechanism === undefined ? null : domainKeyCheckValue(token.cryptoki, session, gen, mechanism)
    return { version, forkId, makes: gen !== undefined, uses: use !== undefined, checkValue }
  })
  const macKeys = domain.macKeys.map(({ version, forkId }): KeyInToken => {
    const sign = find(macSign(version), forkId)
    const verify = find(macVerify(version), forkId)
    if (sign !== undefined && verify !== undefined && mechanism === undefined)
      enforced.push(() => enforcesResidence(token, session, { sign, verify }))
    const checkValue = sign === undefined ? null : macKeyCheckValue(token.cryptoki, session, sign)
    return {
      version,
      forkId,
      makes: sign !== undefined,
      uses: verify !== undefined,
      checkValue,
    }
  })
  const audit = findAuditKey(domainId)
  return {
    domainKeys,
    macKeys,
    auditPublicKey: audit === undefined ? null : spkiOfP256(readEcPoint(token, session, audit)).toString('base64'),
    sealed: enforced.length === 0 ? null : enforced.every(isEnforced => isEnforced()),
  }
}

function beginTransfer(): CeremonyResult<'beginTransfer'> {
  const { token, session } = openedToken()
  transferPair = generateTransferPair(token, session)
  return transferPair.publicHalf
}

/** From modulus and exponent alone: what the key says of itself is what an attacker would have changed too. */
function fingerprintTransferKey({ modulus, exponent }: CeremonyArgs<'fingerprintTransferKey'>): {
  fingerprint: string
} {
  return { fingerprint: fingerprintOf(Buffer.from(modulus, 'base64'), Buffer.from(exponent, 'base64')) }
}

function proveOfficer(args: CeremonyArgs<'proveOfficer'>): Record<string, never> {
  const { token, session } = openedToken()
  asOfficer(pinOf(args.officerPin), () => forgetTransferKeys(token, session))
  return {}
}

/** The officer and the user cannot be logged in at once: the officer marks, the user wraps, the officer removes. */
function exportDomain(args: CeremonyArgs<'exportDomain'>): CeremonyResult<'exportDomain'> {
  const { token, session } = openedToken()
  const officerPin = args.officerPin && pinOf(args.officerPin)
  asOfficer(officerPin, () => {
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
    asOfficer(officerPin, () => forgetTransferKeys(token, session))
  }
}

function importDomain({ domain, makes, transfer }: CeremonyArgs<'importDomain'>): DomainInToken {
  const { token, session } = openedToken()
  const mechanism = capabilitiesFor(domain).wrap?.mechanism
  const received = receive(pair => {
    const install = (kind: 'dk' | 'mac', versions: DomainForks['domainKeys'], blobs: readonly string[]) =>
      versions.map((version, index) => {
        const unwrap = unwrapWith(pair, transfer.oaepHash, blobs[index])
        const both = version.version >= makes
        installVersion(token, session, kind, domain.domainId, version, unwrap, both ? 'both' : 'uses')
        return both || mechanism === undefined ? null : readCheckValue(token, session, kind, mechanism, unwrap)
      })
    return {
      domainKeys: install('dk', domain.domainKeys, transfer.domainKeys),
      macKeys: install('mac', domain.macKeys, transfer.macKeys),
    }
  })
  ensureAuditKey(domain)
  const described = describeDomain(domain)
  const withCheckValues = (kind: 'domainKeys' | 'macKeys') =>
    described[kind].map((key, at) => ({ ...key, checkValue: key.checkValue ?? received[kind][at] ?? null }))
  return { ...described, domainKeys: withCheckValues('domainKeys'), macKeys: withCheckValues('macKeys') }
}

function beginRewrap({ domain, transfer }: CeremonyArgs<'beginRewrap'>): Record<string, never> {
  const { token, session } = openedToken()
  const { wrap } = capabilitiesFor(domain)
  if (wrap === undefined) throw new HsmFault('input', `token "${token.label}" cannot wrap: nothing is re-wrapped in it`)
  const keys = new DomainKeys(token.cryptoki, session, domain, wrap.mechanism)
  rewrap = receive(pair => {
    const unwrap = unwrapWith(pair, transfer.oaepHash, transfer.domainKeys[0])
    return new Rewrap({ token, session, wrap, domain: keys }, unwrap)
  })
  return {}
}

function rewrapEkts({ records }: CeremonyArgs<'rewrapEkts'>): CeremonyResult<'rewrapEkts'> {
  const begun = rewrap
  if (begun === undefined) throw new HsmFault('input', 'no re-wrap was begun in this token')
  const attempt = (record: string): CeremonyResult<'rewrapEkts'>['records'][number] => {
    try {
      return { record: begun.rewrap(Buffer.from(record, 'base64')).toString('base64') }
    } catch (error) {
      const fault = faultOf(error)
      if (fault.kind !== 'key') throw fault
      return { refused: fault.reason }
    }
  }
  return { records: records.map(attempt) }
}

/** The objects are looked for again afterwards: what a token says it destroyed must be gone. */
function destroyVersions({ domain, objects }: CeremonyArgs<'destroyVersions'>): { destroyed: number } {
  const { token, session } = openedToken()
  const find = () => {
    const handleOf = (name: string, forkId: string) =>
      findDomainObject(token.cryptoki, session, name, domain.domainId, forkId) ?? []
    const dk = domain.domainKeys.flatMap(({ version, forkId }) => [
      handleOf(dkGen(version), forkId),
      objects === 'all' ? handleOf(dkUse(version), forkId) : [],
    ])
    const mac = domain.macKeys.flatMap(({ version, forkId }) => [
      handleOf(macSign(version), forkId),
      objects === 'all' ? handleOf(macVerify(version), forkId) : [],
    ])
    return [...dk, ...mac].flat()
  }
  const handles = find()
  for (const handle of handles) token.cryptoki.C_DestroyObject(session, handle)
  if (find().length > 0) throw new HsmFault('token', `token "${token.label}" keeps objects that it was told to destroy`)
  return { destroyed: handles.length }
}

function discardDomain({ domainId }: { domainId: string }): { destroyed: number } {
  const { token, session } = openedToken()
  const handles = findObjects(token.cryptoki, session, attributes({ TOKEN: true })).filter(handle =>
    isOf(domainId, handle),
  )
  for (const handle of handles) token.cryptoki.C_DestroyObject(session, handle)
  return { destroyed: handles.length }
}

function openedToken(): OpenToken {
  if (opened === undefined) throw new HsmFault('input', 'no token is open')
  return opened
}

/**
 * Runs `work` with the SO logged in, and the user afterwards; as the user where there is no SO to ask. Private session objects
 * of this process go with the log-out.
 */
function asOfficer(officerPin: string | undefined, work: () => void): void {
  const { token, session } = openedToken()
  if (officerPin === undefined) {
    work()
    return
  }
  token.cryptoki.C_Logout(session)
  try {
    logInOfficer(token, session, officerPin)
    try {
      work()
    } finally {
      token.cryptoki.C_Logout(session)
    }
  } finally {
    logIn(token, session)
  }
}

/** Uses the transfer pair of this process once: whatever comes of it, the pair is gone afterwards. */
function receive<T>(use: (pair: TransferPair) => T): T {
  const { token, session } = openedToken()
  const pair = transferPair
  if (pair === undefined) throw new HsmFault('input', 'no transfer was begun in this token')
  try {
    return use(pair)
  } finally {
    token.cryptoki.C_DestroyObject(session, pair.privateKey)
    transferPair = undefined
  }
}

function unwrapWith({ privateKey }: TransferPair, hash: OaepHash, blob = ''): UnwrapKey {
  const { token, session } = openedToken()
  const wrapped = Buffer.from(blob, 'base64')
  return template => token.cryptoki.C_UnwrapKey(session, oaepMechanism(hash), privateKey, wrapped, template)
}

/** What a domain uses of the token. Throws HsmFault when the token lacks its schemes. */
function capabilitiesFor({ schemes }: Pick<DomainForks, 'schemes'>): Capabilities {
  return chooseCapabilities(openedToken().examination, schemes)
}

/** The token's own audit key. It belongs to no version; its CKA_ID ends with whatever version it was made beside. */
function findAuditKey(domainId: string): ObjectHandle | undefined {
  const { token, session } = openedToken()
  const template = attributes({ CLASS: pkcs11.CKO_PUBLIC_KEY, LABEL: labelOf(AUDIT) })
  const [found, ...others] = findObjects(token.cryptoki, session, template).filter(handle => isOf(domainId, handle))
  if (others.length > 0) throw new HsmFault('token', `the token holds ${others.length + 1} objects ${labelOf(AUDIT)}`)
  return found
}

function ensureAuditKey({ domainId, audited, domainKeys, macKeys }: DomainForks): void {
  const { token, session } = openedToken()
  const first = domainKeys[0] ?? macKeys[0]
  if (!audited || first === undefined || findAuditKey(domainId) !== undefined) return
  generateAuditKey(token, session, domainId, first.forkId)
}

function isOf(domainId: string, handle: ObjectHandle): boolean {
  const { token, session } = openedToken()
  const [attribute] = token.cryptoki.C_GetAttributeValue(session, handle, [{ type: pkcs11.CKA_ID }])
  return Buffer.from(attribute?.value as Buffer)
    .subarray(0, DOMAIN_ID_BYTES)
    .equals(Buffer.from(domainId, 'hex'))
}

function pinOf(source: PinSource): string {
  return 'file' in source ? readPin(source.file) : source.typed
}

function describe({ label, serial, manufacturer, model }: TokenIdentity): TokenIdentity {
  return { label, serial, manufacturer, model }
}
