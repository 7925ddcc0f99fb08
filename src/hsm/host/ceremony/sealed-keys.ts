/**
 * Domain keys as token objects that keep a PIN holder out (security.md 3): every key is first a session object, then
 * copied to a token object whose last attribute is MODIFIABLE=false; a non-modifiable object refuses changed copies too.
 */
import pkcs11 from 'pkcs11js'
import { uncompressed } from '../audit-key.ts'
import {
  type Attributes,
  attributes,
  NO_RIGHTS,
  type ObjectHandle,
  type SessionHandle,
  unwrapTemplate,
} from '../cryptoki.ts'
import {
  AUDIT,
  dkGen,
  dkUse,
  domainKeyCheckValue,
  idOf,
  labelOf,
  macKeyCheckValue,
  macSign,
  macVerify,
} from '../domain-keys.ts'
import { AES_KEY_GENERATION, GENERIC_SECRET_GENERATION } from '../mechanisms.ts'
import type { Token } from '../token.ts'

/** One version of one kind of key, by number and the 16 bytes that tell forks apart. */
export interface Version {
  readonly version: number
  readonly forkId: string
}

/** Unwraps the key's bytes once more under another template. */
export type UnwrapKey = (template: Attributes) => ObjectHandle

type Kind = 'dk' | 'mac'

const KEY_BYTES = 32
/** PKCS#11 numbers of curve P-256: the DER of its object identifier. */
const P256 = Buffer.from('06082a8648ce3d030107', 'hex')

const keyTypes: Record<Kind, number> = { dk: pkcs11.CKK_AES, mac: pkcs11.CKK_GENERIC_SECRET }

/**
 * What an EKT unwraps to, whoever asks: not readable, not extractable, never a token object, not modifiable. Rights differ
 * by class of HBK, so the template leaves them to the host.
 */
const hbkBarrier = () =>
  unwrapTemplate({ SENSITIVE: true, EXTRACTABLE: false, TOKEN: false, PRIVATE: true, MODIFIABLE: false })

const keepsInside = { SENSITIVE: true, EXTRACTABLE: false, ...NO_RIGHTS }
/** It can leave, but only under a key that the SO has marked trusted. */
const leavesUnderTrusted = { SENSITIVE: true, EXTRACTABLE: true, WRAP_WITH_TRUSTED: true, ...NO_RIGHTS }

/** The two objects of a version: one that makes and never leaves, one that uses and can be moved by a ceremony. */
const objects: Record<Kind, (version: number) => readonly { name: string; template: () => Attributes }[]> = {
  dk: version => [
    { name: dkGen(version), template: () => attributes({ ...keepsInside, WRAP: true }) },
    { name: dkUse(version), template: () => [...attributes({ ...leavesUnderTrusted, UNWRAP: true }), hbkBarrier()] },
  ],
  mac: version => [
    { name: macSign(version), template: () => attributes({ ...keepsInside, SIGN: true }) },
    { name: macVerify(version), template: () => attributes({ ...leavesUnderTrusted, VERIFY: true }) },
  ],
}

/** Makes the token objects of a version from a way to unwrap its bytes: both, or only the one that uses. */
export function installVersion(
  { cryptoki }: Token,
  session: SessionHandle,
  kind: Kind,
  domainId: string,
  { version, forkId }: Version,
  unwrap: UnwrapKey,
  which: 'both' | 'uses' = 'both',
): void {
  for (const { name, template } of objects[kind](version).slice(which === 'both' ? 0 : 1)) {
    const base = { CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: keyTypes[kind], TOKEN: false, PRIVATE: true }
    const staged = unwrap([...attributes(base), ...template()])
    try {
      const identity = { TOKEN: true, LABEL: labelOf(name), ID: idOf(name, domainId, forkId), MODIFIABLE: false }
      cryptoki.C_CopyObject(session, staged, attributes(identity))
    } finally {
      cryptoki.C_DestroyObject(session, staged)
    }
  }
}

/** The check value of a version that is not to make anything in this token: read with a session object that is gone again. */
export function readCheckValue(
  { cryptoki }: Token,
  session: SessionHandle,
  kind: Kind,
  wrapMechanism: pkcs11.Mechanism,
  unwrap: UnwrapKey,
): string {
  const base = { CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: keyTypes[kind], TOKEN: false, PRIVATE: true }
  const right = kind === 'dk' ? { WRAP: true } : { SIGN: true }
  const staged = unwrap(attributes({ ...base, ...keepsInside, ...right }))
  try {
    return kind === 'dk'
      ? domainKeyCheckValue(cryptoki, session, staged, wrapMechanism)
      : macKeyCheckValue(cryptoki, session, staged)
  } finally {
    cryptoki.C_DestroyObject(session, staged)
  }
}

/** Generates a version in the token and installs it. Its first copy lives as a session object for these few calls. */
export function generateVersion(
  token: Token,
  session: SessionHandle,
  kind: Kind,
  domainId: string,
  version: Version,
  wrapMechanism: pkcs11.Mechanism,
): void {
  const { cryptoki } = token
  const sessionKey = { CLASS: pkcs11.CKO_SECRET_KEY, TOKEN: false, PRIVATE: true, SENSITIVE: true }
  const throwAway = cryptoki.C_GenerateKey(
    session,
    AES_KEY_GENERATION,
    attributes({
      ...sessionKey,
      KEY_TYPE: pkcs11.CKK_AES,
      VALUE_LEN: KEY_BYTES,
      EXTRACTABLE: false,
      ...NO_RIGHTS,
      WRAP: true,
      UNWRAP: true,
    }),
  )
  const original = cryptoki.C_GenerateKey(
    session,
    kind === 'dk' ? AES_KEY_GENERATION : GENERIC_SECRET_GENERATION,
    attributes({ ...sessionKey, KEY_TYPE: keyTypes[kind], VALUE_LEN: KEY_BYTES, EXTRACTABLE: true, ...NO_RIGHTS }),
  )
  try {
    const wrapped = cryptoki.C_WrapKey(session, wrapMechanism, throwAway, original, Buffer.alloc(KEY_BYTES + 32))
    const unwrap: UnwrapKey = template => cryptoki.C_UnwrapKey(session, wrapMechanism, throwAway, wrapped, template)
    installVersion(token, session, kind, domainId, version, unwrap)
  } finally {
    cryptoki.C_DestroyObject(session, original)
    cryptoki.C_DestroyObject(session, throwAway)
  }
}

/**
 * The same for the MAC key of a token that cannot wrap: both token objects are copies of one session object, each with
 * rights taken away. SoftHSM wants WRAP_WITH_TRUSTED from the start; where nothing is extractable it means nothing.
 */
export function generateMacVersionByCopy(
  { cryptoki }: Token,
  session: SessionHandle,
  domainId: string,
  { version, forkId }: Version,
): void {
  const original = cryptoki.C_GenerateKey(
    session,
    GENERIC_SECRET_GENERATION,
    attributes({
      ...{ CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: keyTypes.mac, VALUE_LEN: KEY_BYTES, TOKEN: false, PRIVATE: true },
      ...leavesUnderTrusted,
      SIGN: true,
      VERIFY: true,
    }),
  )
  const copy = (name: string, rights: { SIGN: boolean; VERIFY: boolean; EXTRACTABLE: boolean }) => {
    const identity = { TOKEN: true, LABEL: labelOf(name), ID: idOf(name, domainId, forkId) }
    cryptoki.C_CopyObject(session, original, attributes({ ...identity, ...rights, MODIFIABLE: false }))
  }
  try {
    copy(macSign(version), { SIGN: true, VERIFY: false, EXTRACTABLE: false })
    copy(macVerify(version), { SIGN: false, VERIFY: true, EXTRACTABLE: true })
  } finally {
    cryptoki.C_DestroyObject(session, original)
  }
}

/** Generates the token's own audit key: an ECDSA P-256 pair that signs checkpoints and nothing else, and never leaves. */
export function generateAuditKey({ cryptoki }: Token, session: SessionHandle, domainId: string, forkId: string): void {
  const identity = { KEY_TYPE: pkcs11.CKK_EC, TOKEN: true, LABEL: labelOf(AUDIT), ID: idOf(AUDIT, domainId, forkId) }
  cryptoki.C_GenerateKeyPair(
    session,
    { mechanism: pkcs11.CKM_EC_KEY_PAIR_GEN },
    attributes({
      CLASS: pkcs11.CKO_PUBLIC_KEY,
      ...identity,
      PRIVATE: false,
      EC_PARAMS: P256,
      VERIFY: true,
      MODIFIABLE: false,
    }),
    attributes({
      CLASS: pkcs11.CKO_PRIVATE_KEY,
      ...identity,
      PRIVATE: true,
      SENSITIVE: true,
      EXTRACTABLE: false,
      DECRYPT: false,
      UNWRAP: false,
      DERIVE: false,
      SIGN: true,
      MODIFIABLE: false,
    }),
  )
}

/** The uncompressed point of a P-256 public key: 65 bytes. */
export function readEcPoint({ cryptoki }: Token, session: SessionHandle, publicKey: ObjectHandle): Buffer {
  const [attribute] = cryptoki.C_GetAttributeValue(session, publicKey, [{ type: pkcs11.CKA_EC_POINT }])
  return uncompressed(attribute?.value as Buffer)
}
