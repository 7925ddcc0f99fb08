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
export function loadModule(path: string, libraryParameters = ''): Cryptoki {
  const cryptoki = new pkcs11.PKCS11()
  cryptoki.load(path)
  try {
    initialise(cryptoki, libraryParameters)
  } catch (error) {
    if (ckrCode(error) !== CKR_CRYPTOKI_ALREADY_INITIALIZED) throw error
  }
  return cryptoki
}

/** C_Initialize. Without CKF_OS_LOCKING_OK SoftHSM switches its mutexes off. */
export function initialise(cryptoki: Cryptoki, libraryParameters = ''): void {
  const flags = { flags: CKF_OS_LOCKING_OK }
  cryptoki.C_Initialize(libraryParameters === '' ? flags : { ...flags, libraryParameters })
}

type Value = boolean | number | string | Buffer

/** A template in the order given: SoftHSM applies attributes one by one, so MODIFIABLE=false comes last. */
export function attributes(values: Readonly<Record<string, Value>>): Attributes {
  return Object.entries(values).map(([name, value]) => {
    const type = (pkcs11 as unknown as Record<string, number>)[`CKA_${name}`]
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
 * CKA_UNWRAP_TEMPLATE: an array of CK_ATTRIBUTE {type, pValue, ulValueLen}, which pkcs11js has no type for. The values must
 * outlive the call, so they are kept for ever; there are few.
 */
export function unwrapTemplate(values: Readonly<Record<string, boolean>>): { type: number; value: Buffer } {
  const entries = attributes(values).map(({ type, value }) => {
    const flag = Buffer.from([value === true ? 1 : 0])
    pinned.push(flag)
    return words(type, addressOf(flag), flag.length)
  })
  return { type: CKA_UNWRAP_TEMPLATE, value: Buffer.concat(entries) }
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
