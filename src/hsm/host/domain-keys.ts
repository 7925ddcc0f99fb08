/**
 * The keys of a domain in a token (security.md 3). For each version N:
 *
 * | object         | right  | leaves the token                    |
 * |----------------|--------|-------------------------------------|
 * | `dk.N.gen`     | WRAP   | never                               |
 * | `dk.N.use`     | UNWRAP | under a key that the SO marked trusted |
 * | `mac.N.sign`   | SIGN   | never                               |
 * | `mac.N.verify` | VERIFY | under a key that the SO marked trusted |
 * | `audit`        | SIGN   | never; each token has its own       |
 *
 * A domain of tokens that cannot wrap has no `dk` objects: its HBKs reside in the tokens (resident-keys.ts).
 *
 * None is modifiable. CKA_LABEL is `strongroom/<name>`; CKA_ID is the domain id, the version's fork id and one byte for the
 * object's role, since some tokens keep one object of a class and CKA_ID (NSS). Objects without that byte are as good.
 */
import { createHash } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { HsmFault } from '../contract/fault.ts'
import type { DomainDescription, KeyVersion } from '../contract/host-configuration.ts'
import { isRefusedMac } from './ckr.ts'
import { attributes, type Cryptoki, findObjects, NO_RIGHTS, type ObjectHandle, type SessionHandle } from './cryptoki.ts'
import { HMAC_SHA_256 } from './mechanisms.ts'

const CHECK_VALUE_BYTES = 8
const MAC_CHECK_LABEL = Buffer.from('strongroom/kcv/mac/1\0', 'latin1')
const CHECK_KEY = createHash('sha256').update('strongroom/kcv/dk/1').digest()
const MAC_BYTES = 32

export const dkGen = (version: number) => `dk.${version}.gen`
export const dkUse = (version: number) => `dk.${version}.use`
export const macSign = (version: number) => `mac.${version}.sign`
export const macVerify = (version: number) => `mac.${version}.verify`
export const AUDIT = 'audit'

/** CKA_LABEL of a domain's object. */
export const labelOf = (name: string) => `strongroom/${name}`
/** CKA_ID of a domain's object. */
export function idOf(name: string, domainId: string, forkId: string): Buffer {
  return Buffer.concat([idPrefix(domainId, forkId), Buffer.from([ROLES.findIndex(role => role.test(name))])])
}

/** With what the CKA_ID of every object of a version begins. */
const idPrefix = (domainId: string, forkId: string) => Buffer.from(domainId + forkId, 'hex')
/** By their place: never reordered. */
const ROLES = [/^dk\.\d+\.gen$/, /^dk\.\d+\.use$/, /^mac\.\d+\.sign$/, /^mac\.\d+\.verify$/, /^audit$/]

/** One object of a domain; undefined when it is not there. Two of one name are a fault: CKA_ID need not be unique. */
export function findDomainObject(
  cryptoki: Cryptoki,
  session: SessionHandle,
  name: string,
  domainId: string,
  forkId: string,
  objectClass: number = pkcs11.CKO_SECRET_KEY,
): ObjectHandle | undefined {
  const prefix = idPrefix(domainId, forkId)
  const found = findObjects(cryptoki, session, attributes({ CLASS: objectClass, LABEL: labelOf(name) })).filter(
    handle => {
      const [attribute] = cryptoki.C_GetAttributeValue(session, handle, [{ type: pkcs11.CKA_ID }])
      return Buffer.from(attribute?.value as Buffer)
        .subarray(0, prefix.length)
        .equals(prefix)
    },
  )
  if (found.length > 1) throw new HsmFault('token', `the token holds ${found.length} objects ${labelOf(name)}`)
  return found[0]
}

/** The domain keys a host works with. Constructed once; throws HsmFault `token` when the token does not hold this domain. */
export class DomainKeys {
  readonly id: Buffer
  readonly region: string
  /** The version that new EKTs are made under; 0 in a domain without domain keys, whose HBKs reside in tokens. */
  readonly dkVersion: number
  readonly macVersion: number
  readonly #wrapKey: ObjectHandle | undefined
  readonly #signKey: ObjectHandle
  readonly #unwrapKeys = new Map<number, ObjectHandle>()
  readonly #verifyKeys = new Map<number, ObjectHandle>()
  readonly #cryptoki: Cryptoki

  /** `wrapMechanism` is undefined for a token that cannot wrap, and so are the domain's keys that do. */
  constructor(
    cryptoki: Cryptoki,
    session: SessionHandle,
    domain: DomainDescription,
    wrapMechanism: pkcs11.Mechanism | undefined,
  ) {
    if (domain.domainKeys.length > 0 && wrapMechanism === undefined)
      throw new HsmFault('token', 'the domain wraps its keys, which this token cannot do')
    if (domain.domainKeys.length === 0 && wrapMechanism !== undefined)
      throw new HsmFault('token', 'the keys of the domain reside in tokens that cannot wrap, which this token can')
    const find = (name: string, { forkId }: KeyVersion): ObjectHandle => {
      const handle = findDomainObject(cryptoki, session, name, domain.id, forkId)
      if (handle === undefined)
        throw new HsmFault('token', `the token does not hold ${labelOf(name)} of domain ${domain.id}`)
      return handle
    }
    const dk = newest(domain.domainKeys)
    const mac = newest(domain.macKeys)
    if (mac === undefined) throw new HsmFault('token', 'the domain has no MAC key')
    this.#cryptoki = cryptoki
    this.id = Buffer.from(domain.id, 'hex')
    this.region = domain.region
    this.dkVersion = dk?.version ?? 0
    this.macVersion = mac.version
    this.#wrapKey = dk && find(dkGen(dk.version), dk)
    this.#signKey = find(macSign(mac.version), mac)
    for (const version of domain.domainKeys)
      this.#unwrapKeys.set(version.version, find(dkUse(version.version), version))
    for (const version of domain.macKeys)
      this.#verifyKeys.set(version.version, find(macVerify(version.version), version))
    if (dk !== undefined && this.#wrapKey !== undefined && wrapMechanism !== undefined)
      expect('domain key', dk, domainKeyCheckValue(cryptoki, session, this.#wrapKey, wrapMechanism))
    expect('domain MAC key', mac, macKeyCheckValue(cryptoki, session, this.#signKey))
  }

  /** Wraps new HBKs. Throws HsmFault `key` in a domain whose HBKs reside in tokens. */
  get wrapKey(): ObjectHandle {
    if (this.#wrapKey === undefined) throw new HsmFault('key', 'the domain wraps no keys')
    return this.#wrapKey
  }

  /** The object that unwraps what version N wrapped; undefined when this domain has no such version. */
  unwrapKey(version: number): ObjectHandle | undefined {
    return this.#unwrapKeys.get(version)
  }

  /** HMAC-SHA-256 under the newest domain MAC key. Only formats' own inputs come here, never bytes a command chose. */
  sign(session: SessionHandle, input: Buffer): Buffer {
    this.#cryptoki.C_SignInit(session, HMAC_SHA_256, this.#signKey)
    return this.#cryptoki.C_Sign(session, input, Buffer.allocUnsafe(MAC_BYTES))
  }

  /** Whether the token says CKR_OK to this MAC. Throws what it says when it cannot tell, which is not a yes either. */
  verifies(session: SessionHandle, version: number, input: Buffer, mac: Buffer): boolean {
    const key = this.#verifyKeys.get(version)
    if (key === undefined) return false
    this.#cryptoki.C_VerifyInit(session, HMAC_SHA_256, key)
    try {
      this.#cryptoki.C_Verify(session, input, mac)
      return true
    } catch (error) {
      if (isRefusedMac(error)) return false
      throw error
    }
  }

  /** Whether this host was told of a version of the domain's MAC key. */
  knowsMac(version: number): boolean {
    return this.#verifyKeys.has(version)
  }

  /** The same under any version that is in use: what was made before a rotation is good after it. */
  verifiesByAny(session: SessionHandle, input: Buffer, mac: Buffer): boolean {
    return [...this.#verifyKeys.keys()].some(version => this.verifies(session, version, input, mac))
  }

  /** Proves that the MAC key still answers as it did at the start; part of the known-answer command. */
  macCheckValue(session: SessionHandle): string {
    return macKeyCheckValue(this.#cryptoki, session, this.#signKey)
  }
}

/** SHA-256 of the wrap of a fixed key, 64 bits: RFC 5649 is deterministic, and 24 bits could be matched by search. */
export function domainKeyCheckValue(
  cryptoki: Cryptoki,
  session: SessionHandle,
  wrapKey: ObjectHandle,
  wrapMechanism: pkcs11.Mechanism,
): string {
  const fixedKey = cryptoki.C_CreateObject(
    session,
    attributes({
      CLASS: pkcs11.CKO_SECRET_KEY,
      KEY_TYPE: pkcs11.CKK_AES,
      TOKEN: false,
      PRIVATE: true,
      SENSITIVE: true,
      EXTRACTABLE: true,
      ...NO_RIGHTS,
      VALUE: CHECK_KEY,
    }),
  )
  try {
    return checkValue(cryptoki.C_WrapKey(session, wrapMechanism, wrapKey, fixedKey, Buffer.alloc(64)))
  } finally {
    cryptoki.C_DestroyObject(session, fixedKey)
  }
}

/** A labelled HMAC, 64 bits of its SHA-256. */
export function macKeyCheckValue(cryptoki: Cryptoki, session: SessionHandle, signKey: ObjectHandle): string {
  cryptoki.C_SignInit(session, HMAC_SHA_256, signKey)
  return checkValue(cryptoki.C_Sign(session, MAC_CHECK_LABEL, Buffer.alloc(MAC_BYTES)))
}

function newest(versions: readonly KeyVersion[]): KeyVersion | undefined {
  return versions.reduce<KeyVersion | undefined>(
    (a, b) => (a === undefined || b.version > a.version ? b : a),
    undefined,
  )
}

function checkValue(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest().subarray(0, CHECK_VALUE_BYTES).toString('hex')
}

function expect(what: string, { version, checkValue: expected }: KeyVersion, found: string): void {
  if (found === expected) return
  throw new HsmFault(
    'token',
    `${what} ${version} has check value ${found}, not ${expected}: the token holds another domain`,
  )
}
