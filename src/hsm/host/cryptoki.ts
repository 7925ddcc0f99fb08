/** The PKCS#11 library as this world uses it: loading, attribute templates and the values that contain addresses. */
import koffi from 'koffi'
import pkcs11 from 'pkcs11js'
import { ckrCode } from './ckr.ts'

export type Cryptoki = pkcs11.PKCS11
export type SessionHandle = Buffer
export type ObjectHandle = Buffer
export type Attributes = pkcs11.Template

const CKF_OS_LOCKING_OK = 2
const CKR_CRYPTOKI_ALREADY_INITIALIZED = 0x191

/** Loads a module and initialises it. `libraryParameters` is what some modules want of C_Initialize, NSS for one. */
export function loadModule<C extends Cryptoki>(cryptoki: C, path: string, libraryParameters = ''): C {
  cryptoki.load(path)
  try {
    initialise(cryptoki, libraryParameters, CKF_OS_LOCKING_OK)
  } catch (error) {
    if (ckrCode(error) !== CKR_CRYPTOKI_ALREADY_INITIALIZED) throw error
  }
  return cryptoki
}

/**
 * Initialises a module anew, which then looks for its tokens again. `locking`: several threads may call it (PKCS#11 3.1,
 * section 5.4).
 */
export function initialiseAgain(cryptoki: Cryptoki, libraryParameters: string | undefined, locking: boolean): void {
  cryptoki.C_Finalize()
  initialise(cryptoki, libraryParameters, locking ? CKF_OS_LOCKING_OK : 0)
}

/** Whether one thread gains by doing without the module's locks: in SoftHSM they are a tenth of a command. */
export function locksNeedlessly(cryptoki: Cryptoki): boolean {
  return cryptoki.C_GetInfo().manufacturerID.startsWith('SoftHSM')
}

function initialise(cryptoki: Cryptoki, libraryParameters = '', flags: number): void {
  cryptoki.C_Initialize(libraryParameters === '' ? { flags } : { flags, libraryParameters })
}

type Value = boolean | number | string | Buffer

/** Of PKCS#11 3.2, which pkcs11js does not name. */
export const CKA_SEED = 0x637
const ATTRIBUTES_3_2: Readonly<Record<string, number>> = {
  PARAMETER_SET: 0x61d,
  ENCAPSULATE: 0x633,
  DECAPSULATE: 0x634,
}

/** A template in the order given: SoftHSM applies attributes one by one, so MODIFIABLE=false comes last. */
export function attributes(values: Readonly<Record<string, Value>>): Attributes {
  return Object.entries(values).map(([name, value]) => {
    const type = (pkcs11 as unknown as Record<string, number>)[`CKA_${name}`] ?? ATTRIBUTES_3_2[name]
    if (type === undefined) throw new RangeError(`CKA_${name} is unknown`)
    return { type, value }
  })
}

/** Every right of a key, denied: templates name what they allow and deny the rest in so many words. */
export const NO_RIGHTS = {
  ENCRYPT: false,
  DECRYPT: false,
  SIGN: false,
  VERIFY: false,
  WRAP: false,
  UNWRAP: false,
  DERIVE: false,
} as const

const CKA_UNWRAP_TEMPLATE = 0x4000_0212
const WORD_BYTES = 8

/**
 * A C structure of machine words, addresses among them, for what pkcs11js has no type for: it copies the bytes of a Buffer
 * verbatim. LP64 only. Whoever gives an address keeps the Buffer behind it until the call is over.
 */
export function words(...values: readonly (number | bigint)[]): Buffer {
  const bytes = Buffer.alloc(values.length * WORD_BYTES)
  for (const [at, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), at * WORD_BYTES)
  return bytes
}

/** Where the bytes of a Buffer are. They do not move: Node keeps none of them on the heap. */
export function addressOf(bytes: Buffer): bigint {
  return BigInt(koffi.address(bytes))
}

/**
 * CKA_UNWRAP_TEMPLATE: an array of attributes, which pkcs11js has no type for. The values must outlive the call, so they are
 * kept for ever; there are few.
 */
export function unwrapTemplate(values: Readonly<Record<string, boolean>>): { type: number; value: Buffer } {
  const { array, values: kept } = attributeArray(attributes(values))
  pinned.push(...kept)
  return { type: CKA_UNWRAP_TEMPLATE, value: array }
}

/** A template as an array of CK_ATTRIBUTE {type, pValue, ulValueLen}. It points to `values`, which are to outlive the call. */
export function attributeArray(template: Attributes): { array: Buffer; values: readonly Buffer[] } {
  const values = template.map(({ value }) => {
    if (typeof value === 'boolean') return Buffer.from([value ? 1 : 0])
    return typeof value === 'number' ? words(value) : Buffer.from(value as Buffer)
  })
  const entries = values.map((value, at) => words(template[at]?.type ?? 0, addressOf(value), value.length))
  return { array: Buffer.concat(entries), values }
}

const pinned: Buffer[] = []

/** All objects that match a template. */
export function findObjects(cryptoki: Cryptoki, session: SessionHandle, template: Attributes): ObjectHandle[] {
  const found: ObjectHandle[] = []
  cryptoki.C_FindObjectsInit(session, template)
  try {
    for (;;) {
      const batch = cryptoki.C_FindObjects(session, 64)
      found.push(...batch)
      if (batch.length === 0) return found
    }
  } finally {
    cryptoki.C_FindObjectsFinal(session)
  }
}
