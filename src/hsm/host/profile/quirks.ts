/**
 * What self-tests cannot find out, or would find out at a price: a short list by vendor, from their documents and from
 * what was measured (docs/tokens.md says which). Everything else about a token comes from the token.
 */
import type { GcmIvMaker } from '../ciphers/token-gcm.ts'
import { AES_CBC_ENCRYPT_DATA } from '../mechanisms.ts'

export interface Quirks {
  /** As operators name it. */
  readonly vendor: string
  /** Tried first; the self-test decides. */
  readonly gcmIv?: GcmIvMaker
  /** The longest message that AES-GCM takes in one part. */
  readonly gcmMaxBytes?: number
  /** Keys that a host may hold in the token at once, session objects counted. */
  readonly maxLoadedKeys?: number
  readonly maxSessions?: number
  /** C_UnwrapKey of an EC private key wants its point as CKA_NSS_DB. */
  readonly ecPointOnUnwrap?: boolean
  /** Mechanisms that it has and does not list; the self-test decides. */
  readonly unlisted?: readonly number[]
  /** What an operator of this kind of token should know. */
  readonly notes: readonly string[]
}

interface TokenNames {
  readonly manufacturer: string
  readonly model: string
  /** Manufacturer and description of the library. */
  readonly library: string
}

const table: readonly (Quirks & { readonly match: RegExp })[] = [
  {
    match: /softhsm/i,
    vendor: 'SoftHSM 2',
    notes: [
      'keeps keys in files that its process reads: for development, tests and trying out',
      'leaks about 250 bytes for each session object until C_Finalize: hosts are recycled',
    ],
  },
  {
    match: /mozilla|nss /i,
    vendor: 'NSS softoken',
    ecPointOnUnwrap: true,
    unlisted: [AES_CBC_ENCRYPT_DATA],
    notes: [
      'every NSS database has the serial number 0000000000000000, so a region can have one of them',
      "wants libraryParameters: \"configdir='sql:/path' certPrefix='' keyPrefix='' secmod='secmod.db' flags=\"",
      'a second object of one class and CKA_ID replaces the first',
    ],
  },
  {
    match: /cloudhsm|cavium|marvell/i,
    vendor: 'AWS CloudHSM',
    gcmIv: 'hsm-in-param',
    gcmMaxBytes: 16_224,
    maxLoadedKeys: 1_000,
    notes: [
      'the PIN is user:password of a crypto user',
      'a cluster holds 3,300 keys, session keys of all clients counted: keep hsm.cachedHbks small',
      'only the crypto officer marks keys trusted, with the CloudHSM CLI: domains are enrolled by its own synchronisation',
    ],
  },
  {
    match: /yubi/i,
    vendor: 'YubiHSM 2',
    maxSessions: 16,
    maxLoadedKeys: 200,
    notes: [
      'the PIN is the id of an authentication key in 4 hexadecimal digits, followed by its password',
      'every object is a token object: it holds 256 of them',
      'CKM_AES_KEY_WRAP_KWP is listed without the right to wrap',
    ],
  },
  {
    match: /luna|safenet|gemalto|thales trusted/i,
    vendor: 'Thales Luna',
    gcmIv: 'caller',
    notes: [
      'in FIPS mode it makes the GCM IV and appends it to the ciphertext',
      'a partition wraps private keys under key export only, not under cloning',
    ],
  },
  {
    match: /ncipher|nshield|entrust|thales uk/i,
    vendor: 'Entrust nShield',
    notes: [
      'CKNFAST_OVERRIDE_SECURITY_ASSURANCES may be needed for keys that are extractable for a moment',
      'CKNFAST_LOADSHARING decides whether a slot is a module or a set of them',
    ],
  },
  { match: /utimaco|cryptoserver/i, vendor: 'Utimaco', notes: ['nothing is known of it here: the self-tests decide'] },
  {
    match: /opencryptoki|ibm/i,
    vendor: 'openCryptoki',
    notes: ['needs pkcsslotd, and the group pkcs11', 'has AES key wrap and AES-GCM since 3.25 only'],
  },
]

const UNKNOWN: Quirks = { vendor: 'unknown', notes: [] }

/** The first entry whose pattern fits what token and library call themselves. */
export function quirksOf({ manufacturer, model, library }: TokenNames): Quirks {
  const names = `${manufacturer} ${model} ${library}`
  return table.find(({ match }) => match.test(names)) ?? UNKNOWN
}
