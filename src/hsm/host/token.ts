/** From a PKCS#11 URI to a token that is logged in: module -> slot -> token -> login. */
import { readFileSync, statSync } from 'node:fs'
import pkcs11 from 'pkcs11js'
import { type Pkcs11Uri, parsePkcs11Uri } from '../../base/pkcs11-uri.ts'
import { HsmFault } from '../contract/fault.ts'
import type { TokenLocation } from '../contract/host-configuration.ts'
import { ckrCode, faultOf, isPinFault } from './ckr.ts'
import { type Cryptoki, initialiseAgain, loadModule, locksNeedlessly, type SessionHandle } from './cryptoki.ts'
import { DirectCryptoki } from './direct-cryptoki.ts'

const CKU_SO = 0
const CKU_USER = 1
const CKF_TOKEN_INITIALIZED = 0x400
const CKR_USER_ALREADY_LOGGED_IN = 0x100
const PIN_MAX_BYTES = 255
const FIND_ATTEMPTS = 4
const FIND_PAUSE_MS = 150
/** CK_UNAVAILABLE_INFORMATION has all bits set; no token has this many sessions. */
const UNKNOWN_FROM = 0x7fff_ffff
const CKS_RW_USER_FUNCTIONS = 3

/** The token turned the PIN down. Trying again could lock it, so whoever sees this waits for an operator. */
export class PinRefused extends HsmFault {}

export interface TokenIdentity {
  readonly label: string
  readonly serial: string
  readonly manufacturer: string
  readonly model: string
}

export interface Token extends TokenIdentity {
  readonly cryptoki: Cryptoki
  readonly slot: Buffer
  readonly uri: Pkcs11Uri
}

/**
 * Loads the module and finds the one token that the URI names. `oneThread`: no other thread of this process will call the
 * module. Throws HsmFault `token` when there is no such token, or several.
 */
export function openToken(location: TokenLocation, { oneThread = false } = {}): Token {
  const uri = parsePkcs11Uri(location.uri)
  const cryptoki = load(uri, location)
  const locking = !(oneThread && locksNeedlessly(cryptoki))
  if (!locking) initialiseAgain(cryptoki, location.libraryParameters, locking)
  let tokens = findTokens(cryptoki, uri, { last: false })
  for (let attempt = 2; tokens.length === 0 && attempt <= FIND_ATTEMPTS; attempt += 1) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FIND_PAUSE_MS)
    initialiseAgain(cryptoki, location.libraryParameters, locking)
    tokens = findTokens(cryptoki, uri, { last: attempt === FIND_ATTEMPTS })
  }
  const [token] = tokens
  if (token === undefined) throw new HsmFault('token', `no token is named ${nameOf(uri)} in ${uri.modulePath}`)
  if (tokens.length > 1) throw new HsmFault('token', `several tokens are named ${nameOf(uri)}: add "serial" to the URI`)
  return { cryptoki, uri, ...token }
}

/**
 * SoftHSM rewrites a token's file in place at a login: whoever lists tokens at that moment does not see it, or is told
 * CKR_GENERAL_ERROR, until the library is initialised anew.
 */
function findTokens(cryptoki: Cryptoki, uri: Pkcs11Uri, { last }: { readonly last: boolean }) {
  try {
    return listTokens(cryptoki).filter(token => matches(uri, token))
  } catch (error) {
    if (last || ckrCode(error) !== pkcs11.CKR_GENERAL_ERROR) throw error
    return []
  }
}

const loaded: Cryptoki[] = []

/** Has the library let go of everything, so that it finds what is there the next time it is loaded. */
export function unload(): void {
  for (const cryptoki of loaded.splice(0)) {
    try {
      cryptoki.C_Finalize()
    } catch {
      // It was not initialised, or is past caring.
    }
  }
}

/** Loads the module of a URI, with the environment it wants in place first. */
export function load(uri: Pkcs11Uri, location: TokenLocation): Cryptoki {
  Object.assign(process.env, location.environment)
  try {
    const cryptoki = loadModule(new DirectCryptoki(), uri.modulePath, location.libraryParameters)
    loaded.push(cryptoki)
    return cryptoki
  } catch (error) {
    if (ckrCode(error) !== undefined) throw faultOf(error)
    throw new HsmFault('module', `cannot load ${uri.modulePath}`, { cause: error })
  }
}

/**
 * How many sessions the token lets an application have: the smaller of its two limits, where it names any. 0 stands for
 * "effectively infinite", all bits for "not known" (PKCS#11 3.1, section 3.2).
 */
export function sessionLimit({ cryptoki, slot }: Token): number {
  const { maxSessionCount, maxRwSessionCount } = cryptoki.C_GetTokenInfo(slot)
  const limits = [maxSessionCount, maxRwSessionCount].map(Number)
  return Math.min(...limits.map(limit => (limit > 0 && limit < UNKNOWN_FROM ? limit : Number.POSITIVE_INFINITY)))
}

export function listTokens(cryptoki: Cryptoki): (TokenIdentity & { slot: Buffer; slotId: number })[] {
  return cryptoki
    .C_GetSlotList(true)
    .map(slot => ({ slot, info: cryptoki.C_GetTokenInfo(slot) }))
    .filter(({ info }) => (info.flags & CKF_TOKEN_INITIALIZED) !== 0)
    .map(({ slot, info }) => ({
      slot,
      slotId: Number(slot.readBigUInt64LE(0)),
      label: info.label.trim(),
      serial: info.serialNumber.trim(),
      manufacturer: info.manufacturerID.trim(),
      model: info.model.trim(),
    }))
}

/** Opens a session. Read-write always: CloudHSM refuses read-only ones. */
export function openSession({ cryptoki, slot }: Token): SessionHandle {
  return cryptoki.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION)
}

/** Whether the user is logged in, as a session sees it. */
export function isLoggedIn({ cryptoki }: Token, session: SessionHandle): boolean {
  return cryptoki.C_GetSessionInfo(session).state === CKS_RW_USER_FUNCTIONS
}

/** Logs the user in with the PIN of the URI's `pin-source`. Login holds for the whole process. */
export function logIn(token: Token, session: SessionHandle): void {
  logInWith(token, session, CKU_USER, readPin(token.uri.pinFile))
}

/** Logs the security officer in; only ceremonies do. */
export function logInOfficer(token: Token, session: SessionHandle, pin: string): void {
  logInWith(token, session, CKU_SO, pin)
}

function logInWith(token: Token, session: SessionHandle, user: number, pin: string): void {
  try {
    token.cryptoki.C_Login(session, user, pin)
  } catch (error) {
    if (ckrCode(error) === CKR_USER_ALREADY_LOGGED_IN) return
    if (isPinFault(error)) {
      const who = user === CKU_SO ? 'SO PIN' : 'PIN'
      throw new PinRefused(
        'token',
        `token "${token.label}" refused the ${who} (${faultOf(error).reason}); not tried again`,
      )
    }
    throw faultOf(error)
  }
}

/**
 * The PIN in a file: its first line. Throws HsmFault `token` when the file is absent, empty, or open to others. The
 * message names the path, never the content.
 */
export function readPin(path: string): string {
  try {
    if ((statSync(path).mode & 0o027) !== 0) {
      throw new HsmFault('token', `PIN file ${path} is open to other users: chmod 600 it`)
    }
    const [pin = ''] = readFileSync(path, 'utf8').split(/\r?\n/, 1)
    if (pin === '' || Buffer.byteLength(pin) > PIN_MAX_BYTES)
      throw new HsmFault('token', `PIN file ${path} holds no PIN`)
    return pin
  } catch (error) {
    if (error instanceof HsmFault) throw error
    throw new HsmFault('token', `cannot read the PIN file ${path}`, { cause: error })
  }
}

function matches(uri: Pkcs11Uri, token: TokenIdentity & { slotId: number }): boolean {
  return (
    (uri.token === undefined || uri.token === token.label) &&
    (uri.serial === undefined || uri.serial === token.serial) &&
    (uri.manufacturer === undefined || uri.manufacturer === token.manufacturer) &&
    (uri.model === undefined || uri.model === token.model) &&
    (uri.slotId === undefined || uri.slotId === token.slotId)
  )
}

function nameOf(uri: Pkcs11Uri): string {
  return `"${uri.token ?? uri.serial ?? `slot ${uri.slotId}`}"`
}
