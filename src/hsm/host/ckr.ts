/**
 * THE table of PKCS#11 return values: number -> name, kind of fault, and what the host can do about it itself. pkcs11js
 * names only what it knows, so the number decides (PKCS#11 3.1, section 3.6). What is absent here, vendor codes included,
 * is the token's fault.
 */
import { type FaultKind, HsmFault } from '../contract/fault.ts'

/**
 * What a host does before it tries the command once more; the kind is what is left when that did not help.
 * - `again`: nothing more: the working session, which may have been in an operation, has been replaced already.
 * - `reopen`: sessions, login and handles are gone, or may be: open, look up and import everything anew.
 */
export type Repair = 'again' | 'reopen'

const table: Readonly<Record<number, readonly [name: string, kind: FaultKind, repair?: Repair]>> = {
  2: ['CKR_HOST_MEMORY', 'module'],
  5: ['CKR_GENERAL_ERROR', 'token'],
  6: ['CKR_FUNCTION_FAILED', 'token'],
  7: ['CKR_ARGUMENTS_BAD', 'key'],
  16: ['CKR_ATTRIBUTE_READ_ONLY', 'key'],
  17: ['CKR_ATTRIBUTE_SENSITIVE', 'key'],
  18: ['CKR_ATTRIBUTE_TYPE_INVALID', 'key'],
  19: ['CKR_ATTRIBUTE_VALUE_INVALID', 'key'],
  27: ['CKR_ACTION_PROHIBITED', 'key'],
  32: ['CKR_DATA_INVALID', 'input'],
  33: ['CKR_DATA_LEN_RANGE', 'input'],
  48: ['CKR_DEVICE_ERROR', 'token'],
  49: ['CKR_DEVICE_MEMORY', 'token', 'reopen'],
  50: ['CKR_DEVICE_REMOVED', 'token'],
  64: ['CKR_ENCRYPTED_DATA_INVALID', 'input'],
  65: ['CKR_ENCRYPTED_DATA_LEN_RANGE', 'input'],
  96: ['CKR_KEY_HANDLE_INVALID', 'session', 'reopen'],
  98: ['CKR_KEY_SIZE_RANGE', 'key'],
  99: ['CKR_KEY_TYPE_INCONSISTENT', 'key'],
  104: ['CKR_KEY_FUNCTION_NOT_PERMITTED', 'key'],
  105: ['CKR_KEY_NOT_WRAPPABLE', 'key'],
  106: ['CKR_KEY_UNEXTRACTABLE', 'key'],
  112: ['CKR_MECHANISM_INVALID', 'key'],
  113: ['CKR_MECHANISM_PARAM_INVALID', 'key'],
  130: ['CKR_OBJECT_HANDLE_INVALID', 'session', 'reopen'],
  144: ['CKR_OPERATION_ACTIVE', 'session', 'again'],
  145: ['CKR_OPERATION_NOT_INITIALIZED', 'session', 'again'],
  160: ['CKR_PIN_INCORRECT', 'token'],
  161: ['CKR_PIN_INVALID', 'token'],
  162: ['CKR_PIN_LEN_RANGE', 'token'],
  163: ['CKR_PIN_EXPIRED', 'token'],
  164: ['CKR_PIN_LOCKED', 'token'],
  176: ['CKR_SESSION_CLOSED', 'session', 'reopen'],
  177: ['CKR_SESSION_COUNT', 'token'],
  179: ['CKR_SESSION_HANDLE_INVALID', 'session', 'reopen'],
  192: ['CKR_SIGNATURE_INVALID', 'input'],
  193: ['CKR_SIGNATURE_LEN_RANGE', 'input'],
  208: ['CKR_TEMPLATE_INCOMPLETE', 'key'],
  209: ['CKR_TEMPLATE_INCONSISTENT', 'key'],
  224: ['CKR_TOKEN_NOT_PRESENT', 'token'],
  225: ['CKR_TOKEN_NOT_RECOGNIZED', 'token'],
  240: ['CKR_UNWRAPPING_KEY_HANDLE_INVALID', 'session', 'reopen'],
  257: ['CKR_USER_NOT_LOGGED_IN', 'module', 'reopen'],
  258: ['CKR_USER_PIN_NOT_INITIALIZED', 'token'],
  272: ['CKR_WRAPPED_KEY_INVALID', 'key'],
  274: ['CKR_WRAPPED_KEY_LEN_RANGE', 'key'],
  275: ['CKR_WRAPPING_KEY_HANDLE_INVALID', 'session', 'reopen'],
  336: ['CKR_BUFFER_TOO_SMALL', 'session', 'again'],
  400: ['CKR_CRYPTOKI_NOT_INITIALIZED', 'module'],
}

/** Codes after which logging in again would use up the token's patience with wrong PINs. */
const PIN_CODES: ReadonlySet<number> = new Set([0xa0, 0xa1, 0xa2, 0xa3, 0xa4])

/** What a token answers when GCM does not open or a MAC does not verify: the caller's data, not the token. */
const REFUSED_DATA: ReadonlySet<number> = new Set([0x05, 0x06, 0x07, 0x20, 0x21, 0x40, 0x41, 0xc0, 0xc1])

/** What a token answers to a bad ciphertext and to trouble of its own alike: SoftHSM says CKR_GENERAL_ERROR to a wrong GCM tag. */
const AMBIGUOUS: ReadonlySet<number> = new Set([0x05, 0x06, 0x07])

/** What a token answers to a MAC that does not verify; NSS says CKR_ARGUMENTS_BAD. */
const REFUSED_MAC: ReadonlySet<number> = new Set([0x07, 0xc0, 0xc1])

/** The return value in an error of pkcs11js; undefined for any other error. Some of its calls carry it in the text only. */
export function ckrCode(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as { code?: unknown }
  if (typeof code === 'number') return code
  const match = /^CKR_\w+:(\d+)$/.exec(error.message)
  return match ? Number(match[1]) : undefined
}

/** The fault that an error of a PKCS#11 call means. Errors that carry no return value are bugs and are thrown on. */
export function faultOf(error: unknown): HsmFault {
  if (error instanceof HsmFault) return error
  const code = ckrCode(error)
  if (code === undefined) throw error
  const [name, kind] = table[code] ?? [`CKR 0x${code.toString(16)}`, 'token' as const]
  const { method } = error as { method?: unknown }
  return new HsmFault(kind, typeof method === 'string' ? `${method}: ${name}` : name, { cause: error })
}

/** The same for a call whose input came from a caller and may be anything: opening a ciphertext, verifying a MAC. */
export function faultOfUntrustedData(error: unknown): HsmFault {
  const code = ckrCode(error)
  return code !== undefined && REFUSED_DATA.has(code)
    ? new HsmFault('input', 'refused by the token', { cause: error })
    : faultOf(error)
}

/** Whether a token said of a MAC that it does not verify, and not that it could not tell. */
export function isRefusedMac(error: unknown): boolean {
  const code = ckrCode(error)
  return code !== undefined && REFUSED_MAC.has(code)
}

/** What the host can do about a fault itself; undefined for nothing. */
export function repairOf(fault: HsmFault): Repair | undefined {
  const code = causeOf(fault)
  return code === undefined || fault.kind === 'input' || fault.kind === 'key' ? undefined : table[code]?.[2]
}

/** Whether a refusal may be trouble of the token in truth. */
export function isAmbiguous(fault: HsmFault): boolean {
  const code = causeOf(fault)
  return fault.kind === 'input' && code !== undefined && AMBIGUOUS.has(code)
}

/** The return value that a fault was made of. */
function causeOf(error: unknown): number | undefined {
  return error instanceof HsmFault ? causeOf(error.cause) : ckrCode(error)
}

export function isPinFault(error: unknown): boolean {
  const code = ckrCode(error)
  return code !== undefined && PIN_CODES.has(code)
}
