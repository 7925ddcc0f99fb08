/**
 * Decapsulation by a private key in the token: C_DecapsulateKey of PKCS#11 3.2, which pkcs11js does not know. It stands in
 * the function list that C_GetInterface hands out, behind the functions of 2.40 and 3.0, and is called where it is. LP64
 * only, as the structures of cryptoki.ts are.
 */
import koffi from 'koffi'
import pkcs11 from 'pkcs11js'
import {
  attributeArray,
  attributes,
  type Cryptoki,
  NO_RIGHTS,
  type ObjectHandle,
  type SessionHandle,
  words,
} from './cryptoki.ts'
import { readAttribute } from './key-pairs.ts'

const SHARED_SECRET_BYTES = 32
const CKM_ML_KEM = 0x17
const WORD_BYTES = 8
const VERSION_3_2 = Buffer.from([3, 2])
/** CK_INTERFACE {pInterfaceName, pFunctionList, flags}. */
const FUNCTION_LIST_OFFSET_BYTES = WORD_BYTES
/** CK_FUNCTION_LIST_3_2: its version, 68 functions of 2.40, 24 of 3.0, C_EncapsulateKey, C_DecapsulateKey; a word each. */
const DECAPSULATE_OFFSET_BYTES = (1 + 68 + 24 + 1) * WORD_BYTES
const CKR_FUNCTION_NOT_SUPPORTED = 0x54

const GET_INTERFACE = 'unsigned long C_GetInterface(const char *, void *, _Out_ void **, unsigned long)'
const DECAPSULATE_KEY = koffi.proto(
  'unsigned long C_DecapsulateKey(uint64, void *, uint64, void *, unsigned long, void *, unsigned long, void *)',
)

/**
 * The shared secret of a ciphertext that has the right length: of another key's, one that nobody knows (FIPS 203 section 6.3).
 * Throws as pkcs11js does, with CKR_FUNCTION_NOT_SUPPORTED for modules before 3.2. The caller wipes the secret.
 */
export function decapsulate(
  cryptoki: Cryptoki,
  session: SessionHandle,
  privateKey: ObjectHandle,
  ciphertext: Buffer,
): Buffer {
  const decapsulateKey = functionOf(cryptoki)
  const template = attributeArray(
    attributes({
      ...{ CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: pkcs11.CKK_GENERIC_SECRET, VALUE_LEN: SHARED_SECRET_BYTES },
      ...{ TOKEN: false, PRIVATE: true, SENSITIVE: false, EXTRACTABLE: true, ...NO_RIGHTS },
    }),
  )
  const secret = Buffer.alloc(WORD_BYTES)
  const code: number = koffi.call(
    decapsulateKey,
    DECAPSULATE_KEY,
    ...[session.readBigUInt64LE(), words(CKM_ML_KEM, 0, 0), privateKey.readBigUInt64LE()],
    ...[template.array, template.values.length, ciphertext, ciphertext.length, secret],
  )
  if (code !== 0) throw failed(code)
  try {
    return readAttribute(cryptoki, session, secret, pkcs11.CKA_VALUE)
  } finally {
    cryptoki.C_DestroyObject(session, secret)
  }
}

/** By the path of their module: which function list a module hands out does not change. */
const functions = new Map<string, bigint>()

function functionOf({ libPath }: Cryptoki): bigint {
  const known = functions.get(libPath)
  if (known !== undefined) return known
  const found = findFunction(libPath)
  if (found === undefined) throw failed(CKR_FUNCTION_NOT_SUPPORTED)
  functions.set(libPath, found)
  return found
}

/** The module is loaded already: this is another handle of the same one. */
function findFunction(libPath: string): bigint | undefined {
  let getInterface: (...args: unknown[]) => number
  try {
    getInterface = koffi.load(libPath).func(GET_INTERFACE)
  } catch {
    // Modules before 3.0 have no such function.
    return undefined
  }
  const found: unknown[] = [null]
  if (getInterface('PKCS 11', VERSION_3_2, found, 0) !== 0) return undefined
  const list = koffi.decode(found[0], FUNCTION_LIST_OFFSET_BYTES, 'void *')
  return koffi.decode(list, DECAPSULATE_OFFSET_BYTES, 'void *')
}

function failed(code: number): Error {
  return Object.assign(new Error(`C_DecapsulateKey: ${code}`), { code, method: 'C_DecapsulateKey' })
}
