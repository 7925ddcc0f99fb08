/**
 * What somebody with the user PIN of a token tries in order to read the keys of a domain, or what is wrapped by them
 * (security.md 3). Each attack throws what the token answers, or succeeds, and then returns the HBK where it has read it.
 * They run in a process of their own, which loads the module: see pin-holder.ts.
 */
import pkcs11 from 'pkcs11js'

export type Handle = Buffer
type Value = boolean | number | string | Buffer
export type Values = Readonly<Record<string, Value>>

export interface Keys {
  readonly cryptoki: pkcs11.PKCS11
  readonly session: Handle
  readonly dkGen: Handle
  readonly dkUse: Handle
  readonly macSign: Handle
  readonly macVerify: Handle
  readonly audit: Handle
  /** An AES HBK wrapped by the domain key. */
  readonly wrapped: Buffer
  /** With what it is unwrapped. */
  readonly hbk: Values
}

type Attack = (keys: Keys) => unknown

/** RFC 5649, under SoftHSM's number for it. */
export const KEY_WRAP: pkcs11.Mechanism = { mechanism: 0x210a }
const RSA_OAEP: pkcs11.Mechanism = {
  mechanism: pkcs11.CKM_RSA_PKCS_OAEP,
  parameter: {
    ...{ type: pkcs11.CK_PARAMS_RSA_OAEP, hashAlg: pkcs11.CKM_SHA_1, mgf: pkcs11.CKG_MGF1_SHA1, source: 1 },
  } as pkcs11.IParams,
}
const HMAC: pkcs11.Mechanism = { mechanism: pkcs11.CKM_SHA256_HMAC }
const ECB: pkcs11.Mechanism = { mechanism: pkcs11.CKM_AES_ECB }
const UNWRAP_TEMPLATE = 0x4000_0212

export function template(values: Values): pkcs11.Template {
  return Object.entries(values).map(([name, value]) => ({ type: pkcs11[`CKA_${name}` as 'CKA_CLASS'], value }))
}

/** What the domain key's template wants to be told of an HBK, and one right. */
export const HBK: Values = {
  CLASS: pkcs11.CKO_SECRET_KEY,
  KEY_TYPE: pkcs11.CKK_AES,
  TOKEN: false,
  PRIVATE: true,
  SENSITIVE: true,
  EXTRACTABLE: false,
  DERIVE: true,
  MODIFIABLE: false,
}

/** The same, for a token that does not mind. */
export const READABLE: Values = { ...HBK, SENSITIVE: false, EXTRACTABLE: true, MODIFIABLE: true }

/** A key derived from another, to be read. */
export const DERIVED: Values = { ...READABLE, VALUE_LEN: 32 }

const without = (values: Values, ...names: string[]): Values =>
  Object.fromEntries(Object.entries(values).filter(([name]) => !names.includes(name)))

const set = ({ cryptoki, session }: Keys, key: Handle, values: Values): Handle => {
  cryptoki.C_SetAttributeValue(session, key, template(values))
  return key
}
const copy = ({ cryptoki, session }: Keys, key: Handle, values: Values): Handle =>
  cryptoki.C_CopyObject(session, key, template(values))

const unwrap = ({ cryptoki, session, dkUse, wrapped, hbk }: Keys, values = hbk, by = dkUse): Handle =>
  cryptoki.C_UnwrapKey(session, KEY_WRAP, by, wrapped, template(values))

/** CKA_VALUE; throws where the token gives none. */
function read({ cryptoki, session }: Keys, key: Handle): Buffer {
  const [attribute] = cryptoki.C_GetAttributeValue(session, key, [{ type: pkcs11.CKA_VALUE }])
  return Buffer.from(attribute?.value as Buffer)
}

/** Undoes RFC 5649 with nothing but an AES-ECB decryption: what DECRYPT on a domain key is good for. */
function undoKeyWrap({ cryptoki, session, wrapped }: Keys, key: Handle): Buffer {
  const decrypt = (block: Buffer) => {
    cryptoki.C_DecryptInit(session, ECB, key)
    return cryptoki.C_Decrypt(session, block, Buffer.alloc(16))
  }
  const blocks = wrapped.length / 8 - 1
  const registers = Array.from({ length: blocks }, (_, at) => wrapped.subarray(8 * (at + 1), 8 * (at + 2)))
  let head: Buffer = Buffer.from(wrapped.subarray(0, 8))
  for (let round = 5; round >= 0; round--) {
    for (let at = blocks; at >= 1; at--) {
      const counter = Buffer.alloc(8)
      counter.writeUInt32BE(blocks * round + at, 4)
      const block = decrypt(Buffer.concat([head.map((byte, index) => byte ^ counter[index]!), registers[at - 1]!]))
      head = block.subarray(0, 8)
      registers[at - 1] = block.subarray(8)
    }
  }
  if (head.readUInt32BE(0) !== 0xa65959a6) throw new Error('not what was wrapped')
  return Buffer.concat(registers).subarray(0, head.readUInt32BE(4))
}

function generateAes({ cryptoki, session }: Keys, values: Values): Handle {
  const common = { CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: pkcs11.CKK_AES, TOKEN: false, PRIVATE: true, VALUE_LEN: 32 }
  return cryptoki.C_GenerateKey(
    session,
    { mechanism: pkcs11.CKM_AES_KEY_GEN },
    template({ ...common, SENSITIVE: false, EXTRACTABLE: true, ...values }),
  )
}

function generateRsa({ cryptoki, session }: Keys, values: Values = {}) {
  return cryptoki.C_GenerateKeyPair(
    session,
    { mechanism: pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN },
    template({
      ...{ TOKEN: false, PRIVATE: false, MODULUS_BITS: 2_048, PUBLIC_EXPONENT: Buffer.from('010001', 'hex') },
      ...{ WRAP: true, ENCRYPT: true, ...values },
    }),
    template({ TOKEN: false, PRIVATE: true, SENSITIVE: false, EXTRACTABLE: true, DECRYPT: true, UNWRAP: true }),
  )
}

/** Wraps a key of the domain under a key of the attacker's own. */
const wrapByOwnAes = (keys: Keys, victim: Handle) =>
  wrapBy(keys, generateAes(keys, { WRAP: true, UNWRAP: true }), victim)
const wrapByOwnRsa = (keys: Keys, victim: Handle, mechanism: pkcs11.Mechanism) =>
  wrapBy(keys, generateRsa(keys).publicKey, victim, mechanism)

function wrapBy({ cryptoki, session }: Keys, by: Handle, victim: Handle, mechanism = KEY_WRAP): Buffer {
  return cryptoki.C_WrapKey(session, mechanism, by, victim, Buffer.alloc(1_024))
}

function sign({ cryptoki, session }: Keys, key: Handle): Buffer {
  cryptoki.C_SignInit(session, HMAC, key)
  return cryptoki.C_Sign(session, Buffer.from('a record'), Buffer.alloc(32))
}

function crypt({ cryptoki, session }: Keys, key: Handle, way: 'Encrypt' | 'Decrypt'): Buffer {
  cryptoki[`C_${way}Init`](session, ECB, key)
  return cryptoki[`C_${way}`](session, Buffer.alloc(16), Buffer.alloc(16))
}

/** Reads a key that is derived from another by AES-CBC: an encryption by another name. */
function deriveReadable(keys: Keys, key: Handle): Buffer {
  const { cryptoki, session } = keys
  const parameter = { type: pkcs11.CK_PARAMS_AES_CBC, iv: Buffer.alloc(16), data: Buffer.alloc(32) } as pkcs11.AesCBC
  return read(keys, cryptoki.C_DeriveKey(session, { mechanism: 0x1105, parameter }, key, template(DERIVED)))
}

function agree({ cryptoki, session, audit }: Keys): Handle {
  const { publicKey } = cryptoki.C_GenerateKeyPair(
    session,
    { mechanism: pkcs11.CKM_EC_KEY_PAIR_GEN },
    template({ TOKEN: false, EC_PARAMS: Buffer.from('06082a8648ce3d030107', 'hex') }),
    template({ TOKEN: false, PRIVATE: true }),
  )
  const [point] = cryptoki.C_GetAttributeValue(session, publicKey, [{ type: pkcs11.CKA_EC_POINT }])
  const parameter = { type: pkcs11.CK_PARAMS_EC_DH, kdf: pkcs11.CKD_NULL, publicData: point?.value } as pkcs11.IParams
  return cryptoki.C_DeriveKey(session, { mechanism: pkcs11.CKM_ECDH1_DERIVE, parameter }, audit, template(DERIVED))
}

export const attacks = {
  'dk.use: set DECRYPT and undo the key wrap': k => undoKeyWrap(k, set(k, k.dkUse, { DECRYPT: true })),
  'dk.use: copy with DECRYPT and undo the key wrap': k => undoKeyWrap(k, copy(k, k.dkUse, { DECRYPT: true })),
  'dk.use: copy as a session object with DECRYPT': k =>
    undoKeyWrap(k, copy(k, k.dkUse, { TOKEN: false, DECRYPT: true })),
  'dk.use: copy as a session object, then set DECRYPT': k =>
    undoKeyWrap(k, set(k, copy(k, k.dkUse, { TOKEN: false }), { DECRYPT: true })),
  'dk.use: copy with MODIFIABLE, then set DECRYPT': k =>
    undoKeyWrap(k, set(k, copy(k, k.dkUse, { MODIFIABLE: true }), { DECRYPT: true })),
  'dk.use: set MODIFIABLE': k => set(k, k.dkUse, { MODIFIABLE: true }),
  'dk.use: decrypt': k => crypt(k, k.dkUse, 'Decrypt'),
  'dk.use: encrypt': k => crypt(k, k.dkUse, 'Encrypt'),
  'dk.use: derive a readable key': k => deriveReadable(k, k.dkUse),
  'dk.use: wrap a key': k => wrapBy(k, k.dkUse, generateAes(k, {})),
  'dk.use: set WRAP_WITH_TRUSTED to false': k => set(k, k.dkUse, { WRAP_WITH_TRUSTED: false }),
  'dk.use: copy without WRAP_WITH_TRUSTED': k => copy(k, k.dkUse, { WRAP_WITH_TRUSTED: false }),
  'dk.use: set an empty UNWRAP_TEMPLATE': k =>
    k.cryptoki.C_SetAttributeValue(k.session, k.dkUse, [{ type: UNWRAP_TEMPLATE, value: Buffer.alloc(0) }]),
  'dk.use: copy with an empty UNWRAP_TEMPLATE': k =>
    k.cryptoki.C_CopyObject(k.session, k.dkUse, [{ type: UNWRAP_TEMPLATE, value: Buffer.alloc(0) }]),
  'dk.use: wrap it under an AES key of my own': k => wrapByOwnAes(k, k.dkUse),
  'dk.use: wrap it under an RSA key of my own, by OAEP': k => wrapByOwnRsa(k, k.dkUse, RSA_OAEP),
  'dk.use: wrap it under an RSA key of my own, by PKCS #1': k =>
    wrapByOwnRsa(k, k.dkUse, { mechanism: pkcs11.CKM_RSA_PKCS }),
  'dk.use: wrap it under dk.gen': k => wrapBy(k, k.dkGen, k.dkUse),
  'dk.use: wrap it under itself': k => wrapBy(k, k.dkUse, k.dkUse),

  'dk.gen: set EXTRACTABLE': k => wrapByOwnAes(k, set(k, k.dkGen, { EXTRACTABLE: true })),
  'dk.gen: copy with EXTRACTABLE': k => wrapByOwnAes(k, copy(k, k.dkGen, { EXTRACTABLE: true })),
  'dk.gen: set MODIFIABLE': k => set(k, k.dkGen, { MODIFIABLE: true }),
  'dk.gen: copy with MODIFIABLE': k => copy(k, k.dkGen, { MODIFIABLE: true }),
  'dk.gen: set DECRYPT and undo the key wrap': k => undoKeyWrap(k, set(k, k.dkGen, { DECRYPT: true })),
  'dk.gen: copy with UNWRAP': k => read(k, unwrap(k, READABLE, copy(k, k.dkGen, { UNWRAP: true }))),
  'dk.gen: unwrap an EKT with it': k => read(k, unwrap(k, READABLE, k.dkGen)),
  'dk.gen: encrypt': k => crypt(k, k.dkGen, 'Encrypt'),
  'dk.gen: wrap it under an AES key of my own': k => wrapByOwnAes(k, k.dkGen),
  'dk.gen: wrap it under an RSA key of my own': k => wrapByOwnRsa(k, k.dkGen, RSA_OAEP),

  'mac.verify: sign with it': k => sign(k, k.macVerify),
  'mac.verify: set SIGN': k => sign(k, set(k, k.macVerify, { SIGN: true })),
  'mac.verify: copy with SIGN': k => sign(k, copy(k, k.macVerify, { SIGN: true })),
  'mac.verify: copy as a session object, then set SIGN': k =>
    sign(k, set(k, copy(k, k.macVerify, { TOKEN: false }), { SIGN: true })),
  'mac.verify: wrap it under an AES key of my own': k => wrapByOwnAes(k, k.macVerify),
  'mac.verify: wrap it under an RSA key of my own': k => wrapByOwnRsa(k, k.macVerify, RSA_OAEP),
  'mac.verify: wrap it under dk.gen': k => wrapBy(k, k.dkGen, k.macVerify),
  'mac.sign: set EXTRACTABLE': k => wrapByOwnAes(k, set(k, k.macSign, { EXTRACTABLE: true })),
  'mac.sign: copy with EXTRACTABLE': k => wrapByOwnAes(k, copy(k, k.macSign, { EXTRACTABLE: true })),
  'mac.sign: wrap it under an AES key of my own': k => wrapByOwnAes(k, k.macSign),

  'audit key: wrap it under an AES key of my own': k => wrapByOwnAes(k, k.audit),
  'audit key: set EXTRACTABLE': k => wrapByOwnAes(k, set(k, k.audit, { EXTRACTABLE: true })),
  'audit key: copy with EXTRACTABLE': k => wrapByOwnAes(k, copy(k, k.audit, { EXTRACTABLE: true })),
  'audit key: agree on a secret with it': agree,
  'audit key: copy with DERIVE': k => agree({ ...k, audit: copy(k, k.audit, { DERIVE: true }) }),

  'an EKT: unwrap it readable': k => read(k, unwrap(k, READABLE)),
  'an EKT: unwrap it with SENSITIVE=false': k => unwrap(k, { ...HBK, SENSITIVE: false }),
  'an EKT: unwrap it with EXTRACTABLE=true': k => wrapByOwnAes(k, unwrap(k, { ...HBK, EXTRACTABLE: true })),
  'an EKT: unwrap it with TOKEN=true': k => unwrap(k, { ...HBK, TOKEN: true }),
  'an EKT: unwrap it with PRIVATE=false': k => unwrap(k, { ...HBK, PRIVATE: false }),
  'an EKT: unwrap it with MODIFIABLE=true': k => unwrap(k, { ...HBK, MODIFIABLE: true }),
  'an EKT: unwrap it and leave MODIFIABLE out': k => unwrap(k, without(HBK, 'MODIFIABLE')),
  'an EKT: unwrap it and leave SENSITIVE out': k => unwrap(k, without(HBK, 'SENSITIVE')),
  'an EKT: unwrap it and leave EXTRACTABLE out': k => unwrap(k, without(HBK, 'EXTRACTABLE')),
  'an EKT: unwrap it without a template': k => unwrap(k, { CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: pkcs11.CKK_AES }),
  'an EKT: unwrap it as another type, readable': k =>
    read(k, unwrap(k, { ...READABLE, KEY_TYPE: pkcs11.CKK_GENERIC_SECRET })),

  'an HBK: read it': k => read(k, unwrap(k)),
  'an HBK: set SENSITIVE to false and read it': k => read(k, set(k, unwrap(k), { SENSITIVE: false })),
  'an HBK: set EXTRACTABLE': k => wrapByOwnAes(k, set(k, unwrap(k), { EXTRACTABLE: true })),
  'an HBK: copy with EXTRACTABLE': k => wrapByOwnAes(k, copy(k, unwrap(k), { EXTRACTABLE: true })),
  'an HBK: copy to a token object': k => copy(k, unwrap(k), { TOKEN: true }),
  'an HBK: wrap it under an AES key of my own': k => wrapByOwnAes(k, unwrap(k)),
  'an HBK: wrap it under dk.gen': k => wrapBy(k, k.dkGen, unwrap(k)),

  'read dk.gen': k => read(k, k.dkGen),
  'read dk.use': k => read(k, k.dkUse),
  'read mac.sign': k => read(k, k.macSign),
  'read mac.verify': k => read(k, k.macVerify),
  'read the audit key': k => read(k, k.audit),
} as const satisfies Record<string, Attack>

/** What SoftHSM refuses to every user, whatever the keys are like: it is the officer who trusts. */
export const trustAttacks = {
  'create an RSA key that is trusted': k => generateRsa(k, { TRUSTED: true }),
  'set TRUSTED on an RSA key of my own': k => set(k, generateRsa(k).publicKey, { TRUSTED: true }),
  'copy an RSA key of my own with TRUSTED': k => copy(k, generateRsa(k).publicKey, { TRUSTED: true }),
  'create an AES key that is trusted': k => generateAes(k, { WRAP: true, TRUSTED: true }),
} as const satisfies Record<string, Attack>
