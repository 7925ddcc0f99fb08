/**
 * The calls that every message takes, made where they are in the module's function list. pkcs11js looks up each member of
 * each mechanism and template by its name, at each call: a fifth of what a data key costs a host. Here both lie in memory
 * as C has them. Whatever is not laid out so, and all other calls, go by pkcs11js. LP64 only, as {@link words}.
 */
import koffi from 'koffi'
import pkcs11 from 'pkcs11js'
import { type Attributes, attributeArray, type ObjectHandle, type SessionHandle, words } from './cryptoki.ts'

type Call = (...values: readonly (number | bigint | Buffer)[]) => number
type LaidOut = ReturnType<typeof attributeArray>

const WORD_BYTES = 8
const CKR_OK = 0
/** CK_FUNCTION_LIST: its version, padded to a word, then the functions in the order of PKCS#11 2.40, section 5. */
const PLACES = {
  C_DestroyObject: 22,
  C_EncryptInit: 29,
  C_Encrypt: 30,
  C_DecryptInit: 33,
  C_Decrypt: 34,
  C_SignInit: 42,
  C_Sign: 43,
  C_DeriveKey: 62,
  C_GenerateRandom: 64,
} as const
type DirectName = keyof typeof PLACES

const GET_FUNCTION_LIST = 'unsigned long C_GetFunctionList(_Out_ void **)'
const INIT = koffi.proto('unsigned long PKCS11_Init(uint64, void *, uint64)')
const RUN = koffi.proto('unsigned long PKCS11_Run(uint64, void *, uint64, void *, void *)')
const DERIVE_KEY = koffi.proto('unsigned long PKCS11_DeriveKey(uint64, void *, uint64, void *, uint64, void *)')
const GENERATE_RANDOM = koffi.proto('unsigned long PKCS11_GenerateRandom(uint64, void *, uint64)')
const DESTROY_OBJECT = koffi.proto('unsigned long PKCS11_DestroyObject(uint64, uint64)')

/** Templates that are used again and again, as C has them. */
const laidOut = new WeakMap<Attributes, LaidOut>()

/** Lays a template out for the calls here. It is not to change afterwards. */
export function layOut(template: Attributes): Attributes {
  laidOut.set(template, attributeArray(template))
  return template
}

/** Of this name because pkcs11js reads in the stack of its errors which of `PKCS11`'s methods has failed. */
class PKCS11 extends pkcs11.PKCS11 {
  #calls!: Readonly<Record<DirectName, Call>>
  /** CK_MECHANISM {mechanism, pParameter, ulParameterLen}, the number that a call writes its length to, and a handle. */
  readonly #mechanism = words(0, 0, 0)
  readonly #length = words(0)
  readonly #handle = words(0)

  /** The same module for both: dlopen(3) counts. */
  override load(path: string): void {
    super.load(path)
    const list: unknown[] = [null]
    check('C_GetFunctionList', koffi.load(path, { lazy: true }).func(GET_FUNCTION_LIST)(list))
    const callAt = (name: DirectName, proto: ReturnType<typeof koffi.proto>): Call => {
      const address = koffi.decode(list[0], (1 + PLACES[name]) * WORD_BYTES, 'void *')
      return koffi.decode(address, proto)
    }
    this.#calls = {
      C_DestroyObject: callAt('C_DestroyObject', DESTROY_OBJECT),
      C_EncryptInit: callAt('C_EncryptInit', INIT),
      C_Encrypt: callAt('C_Encrypt', RUN),
      C_DecryptInit: callAt('C_DecryptInit', INIT),
      C_Decrypt: callAt('C_Decrypt', RUN),
      C_SignInit: callAt('C_SignInit', INIT),
      C_Sign: callAt('C_Sign', RUN),
      C_DeriveKey: callAt('C_DeriveKey', DERIVE_KEY),
      C_GenerateRandom: callAt('C_GenerateRandom', GENERATE_RANDOM),
    }
  }

  override C_GenerateRandom(session: SessionHandle, target: Buffer): Buffer {
    check('C_GenerateRandom', this.#calls.C_GenerateRandom(numberOf(session), target, target.length))
    return target
  }

  override C_DeriveKey(
    session: SessionHandle,
    mechanism: pkcs11.Mechanism,
    key: ObjectHandle,
    template: Attributes,
  ): ObjectHandle {
    const attributes = laidOut.get(template)
    if (attributes === undefined || !this.#layOut(mechanism))
      return super.C_DeriveKey(session, mechanism, key, template)
    const { array, values } = attributes
    const derive = this.#calls.C_DeriveKey
    check('C_DeriveKey', derive(numberOf(session), this.#mechanism, numberOf(key), array, values.length, this.#handle))
    return Buffer.from(this.#handle)
  }

  override C_DestroyObject(session: SessionHandle, object: ObjectHandle): void {
    check('C_DestroyObject', this.#calls.C_DestroyObject(numberOf(session), numberOf(object)))
  }

  override C_EncryptInit(session: SessionHandle, mechanism: pkcs11.Mechanism, key: ObjectHandle): void {
    if (this.#layOut(mechanism)) this.#init('C_EncryptInit', session, key)
    else super.C_EncryptInit(session, mechanism, key)
  }

  override C_Encrypt(session: SessionHandle, input: Buffer, output: Buffer): Buffer {
    return this.#run('C_Encrypt', session, input, output)
  }

  override C_DecryptInit(session: SessionHandle, mechanism: pkcs11.Mechanism, key: ObjectHandle): void {
    if (this.#layOut(mechanism)) this.#init('C_DecryptInit', session, key)
    else super.C_DecryptInit(session, mechanism, key)
  }

  override C_Decrypt(session: SessionHandle, input: Buffer, output: Buffer): Buffer {
    return this.#run('C_Decrypt', session, input, output)
  }

  override C_SignInit(session: SessionHandle, mechanism: pkcs11.Mechanism, key: ObjectHandle): void {
    if (this.#layOut(mechanism)) this.#init('C_SignInit', session, key)
    else super.C_SignInit(session, mechanism, key)
  }

  override C_Sign(session: SessionHandle, input: Buffer, output: Buffer): Buffer {
    return this.#run('C_Sign', session, input, output)
  }

  #init(name: 'C_EncryptInit' | 'C_DecryptInit' | 'C_SignInit', session: SessionHandle, key: ObjectHandle): void {
    check(name, this.#calls[name](numberOf(session), this.#mechanism, numberOf(key)))
  }

  /** The part of `output` that the call has written. */
  #run(name: 'C_Encrypt' | 'C_Decrypt' | 'C_Sign', session: SessionHandle, input: Buffer, output: Buffer): Buffer {
    this.#length.writeUInt32LE(output.length, 0)
    // A call that failed may have left anything there, all bits set for one.
    this.#length.writeUInt32LE(0, 4)
    check(name, this.#calls[name](numberOf(session), input, input.length, output, this.#length))
    const written = this.#length.readUInt32LE()
    return written === output.length ? output : output.subarray(0, written)
  }

  /** Lays a mechanism out for the next call; false where its parameter is one that pkcs11js knows how to write. */
  #layOut({ mechanism, parameter }: pkcs11.Mechanism): boolean {
    if (parameter === undefined || parameter === null) this.#mechanism.fill(0, WORD_BYTES)
    else if (Buffer.isBuffer(parameter)) {
      this.#mechanism.writeBigUInt64LE(koffi.address(parameter), WORD_BYTES)
      this.#mechanism.writeUInt32LE(parameter.length, 2 * WORD_BYTES)
    } else return false
    this.#mechanism.writeUInt32LE(mechanism)
    return true
  }
}

export { PKCS11 as DirectCryptoki }

/** A CK_ULONG in the form that pkcs11js has for handles. Small ones, as most are, spare a BigInt. */
function numberOf(handle: Buffer): number | bigint {
  return handle.readUInt32LE(4) === 0 ? handle.readUInt32LE(0) : handle.readBigUInt64LE(0)
}

/** Throws as pkcs11js does. */
function check(method: string, code: number): void {
  if (code !== CKR_OK) throw Object.assign(new Error(`${method}: ${code}`), { code, method })
}
