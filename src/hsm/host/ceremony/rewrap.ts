/**
 * Re-wrapping EKTs in the token (security.md 3 and 4.1). The domain key's own object unwraps to what never leaves, so the SO
 * has the old domain key moved once more, into a session object of this process whose unwrap template lets HBKs out again,
 * sensitive as ever: the twin. It is invisible to other processes and gone with this one.
 */
import { randomBytes } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { equalConstantTime } from '../../../base/bytes.ts'
import { decodeEkt, type EktFields, ektMacInput, encodeEkt } from '../../../formats/ekt.ts'
import { HsmFault } from '../../contract/fault.ts'
import type { Capabilities } from '../capabilities.ts'
import {
  type Attributes,
  attributes,
  NO_RIGHTS,
  type ObjectHandle,
  type SessionHandle,
  unwrapTemplate,
} from '../cryptoki.ts'
import type { DomainKeys } from '../domain-keys.ts'
import { type PairKind, pairKindOf, privateTemplate } from '../key-pairs.ts'
import { HMAC_BY_SPEC, HMAC_SHA_256 } from '../mechanisms.ts'
import { comparedBy, fingerprintPrivateKey } from '../private-key-fingerprint.ts'
import type { Token } from '../token.ts'
import type { UnwrapKey } from './sealed-keys.ts'

const COMPARE_LABEL = Buffer.from('strongroom/rewrap/1\0', 'latin1')
const WRAP_OVERHEAD_BYTES = 32
const MAC_MAX_BYTES = 64

const secret = { CLASS: pkcs11.CKO_SECRET_KEY, TOKEN: false, PRIVATE: true, SENSITIVE: true }
/** An HBK's bytes, whatever their type: an HMAC proves that they are the same before and after. */
const hbk = { ...secret, KEY_TYPE: pkcs11.CKK_GENERIC_SECRET, ...NO_RIGHTS, SIGN: true }
const leaving = attributes({ ...hbk, EXTRACTABLE: true })
const staying = attributes({ ...hbk, EXTRACTABLE: false, MODIFIABLE: false })
const last = attributes({ MODIFIABLE: false })

/** How one kind of HBK is opened on its way, and what shows that it is the same afterwards. */
interface Way {
  readonly leaving: Attributes
  readonly staying: Attributes
  readonly prove: (handle: ObjectHandle, challenge: Buffer) => Buffer
}

export interface RewrapParts {
  readonly token: Token
  readonly session: SessionHandle
  readonly wrap: NonNullable<Capabilities['wrap']>
  /** The old version and the new one, which it proved to be there. */
  readonly domain: DomainKeys
}

export class Rewrap {
  readonly #parts: RewrapParts
  readonly #twin: ObjectHandle

  /** Makes the twin. */
  constructor(parts: RewrapParts, unwrap: UnwrapKey) {
    this.#parts = parts
    this.#twin = unwrap([
      ...attributes({ ...secret, KEY_TYPE: pkcs11.CKK_AES, EXTRACTABLE: false, ...NO_RIGHTS, UNWRAP: true }),
      unwrapTemplate({ SENSITIVE: true, EXTRACTABLE: true, TOKEN: false, PRIVATE: true }),
    ])
  }

  /**
   * The record under the newest version: verified, unwrapped by the twin, wrapped, MACed, and opened again as a host opens it.
   * Nothing but versions, wrapped bytes and MAC differs. Throws HsmFault `key` for a record that is refused.
   */
  rewrap(record: Buffer): Buffer {
    const { domain, session } = this.#parts
    const { fields, mac } = decode(record)
    if (!fields.domainId.equals(domain.id)) throw new HsmFault('key', 'the EKT belongs to another domain')
    if (fields.dkVersion >= domain.dkVersion || fields.macVersion >= domain.macVersion)
      throw new HsmFault('key', 'the EKT is not under the version before')
    if (!domain.verifies(session, fields.macVersion, ektMacInput(fields), mac))
      throw new HsmFault('key', 'the MAC of the EKT record does not verify')
    const versions = { dkVersion: domain.dkVersion, macVersion: domain.macVersion }
    const moved: EktFields = { ...fields, ...versions, body: this.#moveBody(fields) }
    const movedMac = domain.sign(session, ektMacInput(moved))
    if (!domain.verifies(session, moved.macVersion, ektMacInput(moved), movedMac))
      throw new HsmFault('token', 'the token does not verify the MAC that it made')
    return encodeEkt(moved, movedMac)
  }

  /** A resident HBK is no bytes to wrap: its record only gets the new MAC. */
  #moveBody(fields: EktFields): EktFields['body'] {
    const { body, tokenKeyType, wrapScheme, keySpec, keyUsage } = fields
    const { wrap } = this.#parts
    if (body.kind === 'resident') return body
    if (wrapScheme !== wrap.scheme) throw new HsmFault('key', `this token does not unwrap ${wrapScheme}`)
    if (tokenKeyType === 'AES' || tokenKeyType === 'GENERIC_SECRET') {
      const prove = (handle: ObjectHandle, challenge: Buffer) => this.#mac(handle, keySpec, challenge)
      return this.#moveBytes(body.bytes, { leaving, staying, prove })
    }
    const pair = pairKindOf(keySpec, keyUsage)
    if (pair === undefined) throw new HsmFault('key', `no HBK is made for ${keySpec} and ${keyUsage}`)
    return this.#moveBytes(body.bytes, this.#wayOfPair(pair))
  }

  /** A private key gets the one right by which two copies of it can be compared, in place of its own. */
  #wayOfPair(pair: PairKind): Way {
    const { cryptoki } = this.#parts.token
    const compared: PairKind = { ...pair, right: comparedBy(pair) }
    return {
      leaving: privateTemplate(compared, { extractable: true }),
      staying: [...privateTemplate(compared, { extractable: false }), ...last],
      prove: (handle, challenge) => fingerprintPrivateKey(cryptoki, this.#parts.session, compared, handle, challenge),
    }
  }

  #moveBytes(wrapped: Buffer, { leaving, staying, prove }: Way): EktFields['body'] {
    const { wrap, domain, session, token } = this.#parts
    const unwrapKey = domain.unwrapKey(domain.dkVersion)
    if (unwrapKey === undefined) throw new HsmFault('token', `domain key ${domain.dkVersion} is not in the token`)
    return this.#withObject(this.#unwrap(this.#twin, wrapped, leaving), before => {
      const room = Buffer.alloc(wrapped.length + WRAP_OVERHEAD_BYTES)
      const bytes = Buffer.from(token.cryptoki.C_WrapKey(session, wrap.mechanism, domain.wrapKey, before, room))
      return this.#withObject(this.#unwrap(unwrapKey, bytes, staying), after => {
        const challenge = Buffer.concat([COMPARE_LABEL, randomBytes(16)])
        const proofs = [before, after].map(handle => prove(handle, challenge)) as [Buffer, Buffer]
        if (!equalConstantTime(...proofs)) throw new HsmFault('token', 'the re-wrapped HBK is another one')
        return { kind: 'wrapped' as const, bytes }
      })
    })
  }

  #unwrap(key: ObjectHandle, wrapped: Buffer, template: ReturnType<typeof attributes>): ObjectHandle {
    const { token, session, wrap } = this.#parts
    try {
      return token.cryptoki.C_UnwrapKey(session, wrap.mechanism, key, wrapped, template)
    } catch (error) {
      throw new HsmFault('key', 'a verified EKT does not unwrap', { cause: error })
    }
  }

  /** With the HBK's own hash where it has one: a token may want keys no shorter than the hash. */
  #mac(handle: ObjectHandle, keySpec: string, challenge: Buffer): Buffer {
    const { token, session } = this.#parts
    token.cryptoki.C_SignInit(session, HMAC_BY_SPEC[keySpec] ?? HMAC_SHA_256, handle)
    return token.cryptoki.C_Sign(session, challenge, Buffer.alloc(MAC_MAX_BYTES))
  }

  #withObject<T>(handle: ObjectHandle, use: (handle: ObjectHandle) => T): T {
    try {
      return use(handle)
    } finally {
      this.#parts.token.cryptoki.C_DestroyObject(this.#parts.session, handle)
    }
  }
}

function decode(record: Buffer): ReturnType<typeof decodeEkt> {
  try {
    return decodeEkt(record)
  } catch (error) {
    throw new HsmFault('key', 'not an EKT record', { cause: error })
  }
}
