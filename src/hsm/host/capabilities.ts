/**
 * What a token can do, in the names of the standards: read from its mechanism list and proven with throw-away session
 * objects, because a listed mechanism may lack a right and one number may mean two algorithms.
 */
import { createCipheriv } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { equalConstantTime } from '../../base/bytes.ts'
import type { Kdf } from '../../formats/derivation.ts'
import type { WrapScheme } from '../../formats/ekt.ts'
import { HsmFault } from '../contract/fault.ts'
import type { TokenProfile } from '../contract/host-configuration.ts'
import type { GcmIvMaker } from './ciphers/token-gcm.ts'
import { ckrCode, faultOf } from './ckr.ts'
import { attributes, NO_RIGHTS, type SessionHandle } from './cryptoki.ts'
import { AES_CBC_ENCRYPT_DATA, AES_GCM, type CounterKdf, RFC5649_CANDIDATES } from './mechanisms.ts'
import type { Token } from './token.ts'

export interface Capabilities {
  /** Undefined where the token cannot wrap keys: HBKs reside in it. */
  readonly wrap: { readonly scheme: WrapScheme; readonly mechanism: pkcs11.Mechanism } | undefined
  /** What new keys are made for. */
  readonly kdf: Kdf
  /** `hmac`: SP 800-108 by C_Sign, for AES-GCM in this host. */
  readonly kdfs: { readonly cbcData: boolean; readonly counter: CounterKdf | undefined; readonly hmac: boolean }
  readonly gcmIv: GcmIvMaker
}

/** What a token that can only compute HMACs can do: HBKs reside in it, and AES-GCM runs in the host. */
const RESIDENT: Capabilities = {
  wrap: undefined,
  kdf: 'SP800-108-HMAC-SHA256',
  kdfs: { cbcData: false, counter: undefined, hmac: true },
  gcmIv: 'caller',
}

/** Works out a token's capabilities. Throws HsmFault `token` that names what is missing. */
export function probeCapabilities(token: Token, session: SessionHandle): Capabilities {
  const listed = new Set(token.cryptoki.C_GetMechanismList(token.slot))
  const missing: string[] = []
  const wrapNumber = RFC5649_CANDIDATES.filter(number => listed.has(number)).find(number =>
    wrapsByRfc5649(token, session, number),
  )
  if (wrapNumber === undefined) missing.push('AES key wrap with padding (RFC 5649)')
  if (!listed.has(AES_CBC_ENCRYPT_DATA)) missing.push('key derivation by CKM_AES_CBC_ENCRYPT_DATA')
  if (!listed.has(AES_GCM)) missing.push('AES-GCM')
  const hmac = listed.has(pkcs11.CKM_SHA256_HMAC)
  if (missing.length === WRAPPING_NEEDS && hmac) return RESIDENT
  if (!hmac) missing.push('HMAC-SHA-256')
  if (wrapNumber === undefined || missing.length > 0) {
    throw new HsmFault('token', `token "${token.label}" cannot serve: it lacks ${missing.join(', ')}`)
  }
  return {
    wrap: { scheme: 'RFC5649', mechanism: { mechanism: wrapNumber } },
    kdf: 'AES-CBC-DATA',
    kdfs: { cbcData: true, counter: undefined, hmac: false },
    gcmIv: 'caller',
  }
}

export function profileOf(token: Token, { wrap, kdf, kdfs }: Capabilities): TokenProfile {
  const { label, serial, manufacturer, model } = token
  const wrapScheme = wrap?.scheme ?? 'resident'
  return { label, serial, manufacturer, model, wrapScheme, kdf, gcm: kdfs.hmac ? 'host' : 'token' }
}

/** Wrapping, derivation and AES-GCM: a token with none of them serves resident HBKs. */
const WRAPPING_NEEDS = 3
const TEST_KEK = Buffer.alloc(32, 0x5a)
const TEST_KEY = Buffer.alloc(32, 0xa5)
/** The initial value of RFC 5649 section 3, without the length that follows it. */
const RFC5649_IV = Buffer.from('a65959a6', 'hex')

/** Known answer: the token's wrap of a fixed key under a fixed key, against OpenSSL's. */
function wrapsByRfc5649({ cryptoki }: Token, session: SessionHandle, mechanism: number): boolean {
  const common = { CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: pkcs11.CKK_AES, TOKEN: false, PRIVATE: true }
  const handles: Buffer[] = []
  const create = (rights: Record<string, boolean>, value: Buffer) => {
    const handle = cryptoki.C_CreateObject(session, attributes({ ...common, ...NO_RIGHTS, ...rights, VALUE: value }))
    handles.push(handle)
    return handle
  }
  try {
    const kek = create({ WRAP: true, SENSITIVE: true, EXTRACTABLE: false }, TEST_KEK)
    const key = create({ SENSITIVE: true, EXTRACTABLE: true }, TEST_KEY)
    const wrapped = cryptoki.C_WrapKey(session, { mechanism }, kek, key, Buffer.alloc(64))
    const cipher = createCipheriv('id-aes256-wrap-pad', TEST_KEK, RFC5649_IV)
    return equalConstantTime(wrapped, Buffer.concat([cipher.update(TEST_KEY), cipher.final()]))
  } catch (error) {
    if (ckrCode(error) === undefined) throw error
    if (faultOf(error).kind === 'module') throw error
    return false
  } finally {
    for (const handle of handles) cryptoki.C_DestroyObject(session, handle)
  }
}
