/**
 * A process of somebody who has the user PIN of a token, and its library, and nothing of Strongroom but its formats. It takes
 * one job on its channel, answers it and ends. Start it with tokens.ts's asPinHolder.
 */
import { readFileSync } from 'node:fs'
import pkcs11 from 'pkcs11js'
import { parsePkcs11Uri } from '../../src/base/pkcs11-uri.ts'
import type { DomainDescription } from '../../src/hsm/contract/host-configuration.ts'
import {
  attacks,
  DERIVED,
  type Handle,
  HBK,
  KEY_WRAP,
  type Keys,
  READABLE,
  template,
  trustAttacks,
  type Values,
} from './attacks.ts'

/** Of each attack the CKR code that it ended with, or what it got. */
export type Outcomes = Readonly<Record<string, { readonly refused: string } | { readonly stolen: Buffer | undefined }>>

interface Jobs {
  /** Tries every attack on the keys of a domain. */
  attack: { args: { domain: DomainDescription; wrapped: Buffer }; result: Outcomes }
  /** Tries the same attacks on keys as one makes them without a second thought. */
  attackUnsealed: { args: { hbk: Buffer }; result: Outcomes }
  /** What dk.1.use unwraps may be used as intended. */
  unwrapProperly: { args: { domain: DomainDescription; wrapped: Buffer }; result: boolean }
  /** A key of known bytes, wrapped by dk.1.gen: a PIN holder can do that, and has not learnt any other key by it. */
  wrapKnown: { args: { domain: DomainDescription; value: Buffer }; result: Buffer }
  /** A MAC by mac.1.sign over any bytes: a PIN holder can do that. */
  forgeMac: { args: { domain: DomainDescription; input: Buffer }; result: Buffer }
  /** The value of a key derived from a wrapped HBK: a PIN holder can do that too. */
  readDerived: {
    args: { domain: DomainDescription; wrapped: Buffer; suite: number; data: Buffer }
    result: Buffer
  }
  /** The labels of all objects, with their classes: `secret strongroom/dk.1.gen`. Trusted ones say so. */
  listObjects: { args: Record<string, never>; result: string[] }
  destroyObjects: { args: { labels: readonly string[] }; result: number }
  /** A generic secret of known bytes as a token object, as a resident HBK would be. */
  plantResident: { args: { ckaId: Buffer; value: Buffer }; result: undefined }
  /** An Ed25519 private key of a known seed as a token object, as a resident one would be. */
  plantResidentPair: { args: { ckaId: Buffer; seed: Buffer }; result: undefined }
  /** What a resident HBK refuses: reading it, and whatever would make it leave the token or do more than sign. */
  attackResident: { args: { ckaId: Buffer }; result: Outcomes }
  /** Puts a fresh key under the label and id of a key of the domain. */
  replaceKey: { args: { domain: DomainDescription; label: string; values: Values }; result: undefined }
}

export type Job = { [N in keyof Jobs]: { readonly name: N; readonly args: Jobs[N]['args'] } }[keyof Jobs]
export type JobResult<N extends keyof Jobs> = Jobs[N]['result']

interface Held {
  readonly cryptoki: pkcs11.PKCS11
  readonly session: Handle
  /** RFC 5649, under this token's number for it. */
  readonly wrap: pkcs11.Mechanism
}

interface Where {
  readonly uri: string
  readonly libraryParameters?: string
}

const KWP = 0x210b
const CKK_EC_EDWARDS = 0x40

const CLASSES = new Map([
  [pkcs11.CKO_SECRET_KEY, 'secret'],
  [pkcs11.CKO_PRIVATE_KEY, 'private'],
  [pkcs11.CKO_PUBLIC_KEY, 'public'],
  [pkcs11.CKO_DATA, 'data'],
])

const handlers: { readonly [N in keyof Jobs]: (held: Held, args: Jobs[N]['args']) => Jobs[N]['result'] } = {
  attack(held, { domain, wrapped }) {
    const keys = keysOf(held, domain, wrapped)
    return outcomesOf({ ...attacks, ...trustAttacks }, () => keys)
  },
  attackUnsealed: (held, { hbk }) => outcomesOf(attacks, () => makeUnsealedKeys(held, hbk)),
  unwrapProperly(held, { domain, wrapped }) {
    const { cryptoki, session } = held
    const dkUse = find(held, 'strongroom/dk.1.use', idOf(domain, 'domainKeys'))
    return cryptoki.C_UnwrapKey(session, KEY_WRAP, dkUse, wrapped, template(HBK)).length > 0
  },
  wrapKnown(held, { domain, value }) {
    const { cryptoki, session, wrap } = held
    const dkGen = find(held, 'strongroom/dk.1.gen', idOf(domain, 'domainKeys'))
    const common = { CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: pkcs11.CKK_GENERIC_SECRET, TOKEN: false, PRIVATE: true }
    const known = template({ ...common, SENSITIVE: false, EXTRACTABLE: true, VALUE: Buffer.from(value) })
    const handle = cryptoki.C_CreateObject(session, known)
    return cryptoki.C_WrapKey(session, wrap, dkGen, handle, Buffer.alloc(128))
  },
  forgeMac(held, { domain, input }) {
    const { cryptoki, session } = held
    const key = find(held, 'strongroom/mac.1.sign', idOf(domain, 'macKeys'))
    cryptoki.C_SignInit(session, { mechanism: pkcs11.CKM_SHA256_HMAC }, key)
    return cryptoki.C_Sign(session, input, Buffer.alloc(32))
  },
  readDerived(held, { domain, wrapped, suite, data }) {
    const { cryptoki, session, wrap } = held
    const dkUse = find(held, 'strongroom/dk.1.use', idOf(domain, 'domainKeys'))
    if (suite === 2) {
      const generic = { ...HBK, KEY_TYPE: pkcs11.CKK_GENERIC_SECRET, DERIVE: false, SIGN: true }
      const hbk = cryptoki.C_UnwrapKey(session, wrap, dkUse, wrapped, template(generic))
      cryptoki.C_SignInit(session, { mechanism: pkcs11.CKM_SHA256_HMAC }, hbk)
      return cryptoki.C_Sign(session, Buffer.from(data), Buffer.alloc(32))
    }
    const hbk = cryptoki.C_UnwrapKey(session, wrap, dkUse, wrapped, template(HBK))
    const parameter = { type: pkcs11.CK_PARAMS_AES_CBC, iv: Buffer.alloc(16), data: Buffer.from(data) } as pkcs11.AesCBC
    const derived = cryptoki.C_DeriveKey(session, { mechanism: 0x1105, parameter }, hbk, template(DERIVED))
    return attribute(held, derived, pkcs11.CKA_VALUE)
  },
  listObjects(held) {
    return findAll(held, {})
      .map(handle => {
        const objectClass = Number(attribute(held, handle, pkcs11.CKA_CLASS).readBigUInt64LE())
        const label = attribute(held, handle, pkcs11.CKA_LABEL).toString('utf8')
        return `${isTrusted(held, handle) ? 'trusted ' : ''}${CLASSES.get(objectClass) ?? objectClass} ${label}`
      })
      .toSorted()
  },
  destroyObjects(held, { labels }) {
    const handles = labels.flatMap(LABEL => findAll(held, { LABEL }))
    for (const handle of handles) held.cryptoki.C_DestroyObject(held.session, handle)
    return handles.length
  },
  plantResident({ cryptoki, session }, { ckaId, value }) {
    const common = { CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: pkcs11.CKK_GENERIC_SECRET, TOKEN: true, PRIVATE: true }
    const secret = { SENSITIVE: true, EXTRACTABLE: false, SIGN: true, ID: Buffer.from(ckaId) }
    cryptoki.C_CreateObject(session, template({ ...common, ...secret, VALUE: Buffer.from(value) }))
    return undefined
  },
  plantResidentPair({ cryptoki, session }, { ckaId, seed }) {
    const identity = { CLASS: pkcs11.CKO_PRIVATE_KEY, KEY_TYPE: CKK_EC_EDWARDS, TOKEN: true, PRIVATE: true }
    const secret = { SENSITIVE: true, EXTRACTABLE: false, SIGN: true, ID: Buffer.from(ckaId) }
    const key = { EC_PARAMS: Buffer.from('06032b6570', 'hex'), VALUE: Buffer.from(seed) }
    cryptoki.C_CreateObject(session, template({ ...identity, ...secret, ...key }))
    return undefined
  },
  attackResident(held, { ckaId }) {
    const { cryptoki, session } = held
    const [hbk] = findAll(held, { ID: Buffer.from(ckaId) })
    if (hbk === undefined) throw new Error('there is no such object')
    const changes: Values[] = ['EXTRACTABLE', 'DERIVE', 'WRAP', 'ENCRYPT'].map(name => ({ [name]: true }))
    const attempts = changes.flatMap(values => {
      const name = Object.keys(values)[0]
      return [
        [`set ${name}`, () => cryptoki.C_SetAttributeValue(session, hbk, template(values))],
        [`copy with ${name}`, () => cryptoki.C_CopyObject(session, hbk, template({ TOKEN: false, ...values }))],
      ] as const
    })
    const read = () => attribute(held, hbk, pkcs11.CKA_VALUE)
    return outcomesOf(Object.fromEntries([['read', read], ...attempts]), () => ({}) as Keys)
  },
  replaceKey(held, { domain, label, values }) {
    const kind = label.includes('dk.') ? 'domainKeys' : 'macKeys'
    const aes = kind === 'domainKeys'
    const common = { CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: aes ? pkcs11.CKK_AES : pkcs11.CKK_GENERIC_SECRET }
    const mechanism = aes ? pkcs11.CKM_AES_KEY_GEN : pkcs11.CKM_GENERIC_SECRET_KEY_GEN
    for (const handle of findAll(held, { LABEL: label })) held.cryptoki.C_DestroyObject(held.session, handle)
    const identity = { TOKEN: true, PRIVATE: true, LABEL: label, ID: idOf(domain, kind), VALUE_LEN: 32 }
    held.cryptoki.C_GenerateKey(held.session, { mechanism }, template({ ...common, ...identity, ...values }))
    return undefined
  },
}

process.once('message', (message: Where & { job: Job }) => {
  process.send?.(perform(message, message.job), () => process.disconnect?.())
})

function perform(where: Where, { name, args }: Job): { result: unknown } | { error: string } {
  try {
    return { result: (handlers[name] as (held: Held, args: unknown) => unknown)(logIn(where), args) }
  } catch (error) {
    return { error: `${name}: ${(error as Error).stack}` }
  }
}

function logIn({ uri, libraryParameters }: Where): Held {
  const { token, modulePath, pinFile } = parsePkcs11Uri(uri)
  const cryptoki = new pkcs11.PKCS11()
  cryptoki.load(modulePath)
  cryptoki.C_Initialize(libraryParameters ? { flags: 2, libraryParameters } : { flags: 2 })
  const slot = cryptoki.C_GetSlotList(true).find(each => cryptoki.C_GetTokenInfo(each).label.trim() === token)
  if (slot === undefined) throw new Error(`there is no token ${token}`)
  const session = cryptoki.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION)
  cryptoki.C_Login(session, 1, readFileSync(pinFile, 'utf8').trim())
  const wrap = { mechanism: cryptoki.C_GetMechanismList(slot).includes(KWP) ? KWP : KEY_WRAP.mechanism }
  return { cryptoki, session, wrap }
}

function outcomesOf(list: Readonly<Record<string, (keys: Keys) => unknown>>, keys: () => Keys): Outcomes {
  return Object.fromEntries(
    Object.entries(list).map(([name, attack]) => {
      const target = keys()
      try {
        const got = attack(target)
        return [name, { stolen: Buffer.isBuffer(got) ? Buffer.from(got) : undefined }]
      } catch (error) {
        // An operation that was begun would be in the way of the next attack.
        const { message } = error as Error
        if (!message.startsWith('CKR_')) throw new Error(`${name}: ${message}`, { cause: error })
        return [name, { refused: message }]
      }
    }),
  )
}

function keysOf(held: Held, domain: DomainDescription, wrapped: Buffer): Keys {
  const dk = idOf(domain, 'domainKeys')
  const mac = idOf(domain, 'macKeys')
  return {
    ...{ cryptoki: held.cryptoki, session: held.session, wrapped: Buffer.from(wrapped), hbk: HBK },
    dkGen: find(held, 'strongroom/dk.1.gen', dk),
    dkUse: find(held, 'strongroom/dk.1.use', dk),
    macSign: find(held, 'strongroom/mac.1.sign', mac),
    macVerify: find(held, 'strongroom/mac.1.verify', mac),
    audit: find(held, 'strongroom/audit', dk, pkcs11.CKO_PRIVATE_KEY),
  }
}

/** One domain key for everything, one MAC key for everything; what is not asked for is left to the token's defaults. */
function makeUnsealedKeys({ cryptoki, session }: Held, hbk: Buffer): Keys {
  const common = { CLASS: pkcs11.CKO_SECRET_KEY, TOKEN: false, PRIVATE: true, SENSITIVE: false, EXTRACTABLE: true }
  const all = { ENCRYPT: true, SIGN: true, VERIFY: true, WRAP: true, UNWRAP: true, DERIVE: true }
  const aes = { ...common, ...all, KEY_TYPE: pkcs11.CKK_AES, VALUE_LEN: 32 }
  const dk = cryptoki.C_GenerateKey(session, { mechanism: pkcs11.CKM_AES_KEY_GEN }, template(aes))
  const mac = cryptoki.C_GenerateKey(
    session,
    { mechanism: pkcs11.CKM_GENERIC_SECRET_KEY_GEN },
    template({ ...common, ...all, KEY_TYPE: pkcs11.CKK_GENERIC_SECRET, VALUE_LEN: 32 }),
  )
  const { privateKey: audit } = cryptoki.C_GenerateKeyPair(
    session,
    { mechanism: pkcs11.CKM_EC_KEY_PAIR_GEN },
    template({ TOKEN: false, EC_PARAMS: Buffer.from('06082a8648ce3d030107', 'hex') }),
    template({ TOKEN: false, PRIVATE: true, SENSITIVE: false, EXTRACTABLE: true, SIGN: true, DERIVE: true }),
  )
  const original = cryptoki.C_CreateObject(
    session,
    template({ ...common, KEY_TYPE: pkcs11.CKK_AES, VALUE: Buffer.from(hbk) }),
  )
  const wrapped = cryptoki.C_WrapKey(session, KEY_WRAP, dk, original, Buffer.alloc(64))
  return { cryptoki, session, dkGen: dk, dkUse: dk, macSign: mac, macVerify: mac, audit, wrapped, hbk: READABLE }
}

function idOf({ id, domainKeys, macKeys }: DomainDescription, kind: 'domainKeys' | 'macKeys'): Buffer {
  const [first] = kind === 'domainKeys' ? domainKeys : macKeys
  return Buffer.from(id + first!.forkId, 'hex')
}

function find(held: Held, label: string, id: Buffer, objectClass: number = pkcs11.CKO_SECRET_KEY): Handle {
  const labelled = findAll(held, { LABEL: label, CLASS: objectClass })
  const ofDomain = labelled.filter(each => attribute(held, each, pkcs11.CKA_ID).subarray(0, id.length).equals(id))
  const [handle, ...others] = ofDomain
  if (handle === undefined || others.length > 0) throw new Error(`${others.length + 1} objects ${label}`)
  return handle
}

function findAll({ cryptoki, session }: Held, values: Values): Handle[] {
  cryptoki.C_FindObjectsInit(session, template(values))
  const handles = cryptoki.C_FindObjects(session, 1_000)
  cryptoki.C_FindObjectsFinal(session)
  return handles
}

function attribute({ cryptoki, session }: Held, handle: Handle, type: number): Buffer {
  return Buffer.from(cryptoki.C_GetAttributeValue(session, handle, [{ type }])[0]?.value as Buffer)
}

function isTrusted(held: Held, handle: Handle): boolean {
  try {
    return attribute(held, handle, pkcs11.CKA_TRUSTED)[0] === 1
  } catch {
    return false
  }
}
