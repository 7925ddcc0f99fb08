/**
 * Key pairs in a token: which there are, how one is generated, what its private half may do, and its public half as
 * SubjectPublicKeyInfo (RFC 5280 section 4.1), which is the only form that leaves this world.
 */
import { createECDH, createPublicKey, hash, type KeyObject, type webcrypto } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import type { TokenKeyType } from '../../formats/ekt.ts'
import { HsmFault } from '../contract/fault.ts'
import { type Attributes, attributes, type Cryptoki, type ObjectHandle, type SessionHandle } from './cryptoki.ts'

/** The one right of a private key: KMS gives a key one usage, and the token holds it to that. */
export type PrivateRight = 'SIGN' | 'DECRYPT' | 'DERIVE' | 'UNWRAP' | 'DECAPSULATE'

export interface PairKind {
  readonly keySpec: string
  readonly keyUsage: string
  readonly tokenKeyType: Extract<TokenKeyType, 'RSA' | 'EC' | 'EC_EDWARDS' | 'ML_KEM'>
  readonly right: PrivateRight
  /** Bytes of the modulus, of a coordinate, or of ML-KEM's public key. */
  readonly lengthBytes: number
  /** Of elliptic curves. */
  readonly curve?: Curve
  readonly kem?: Kem
}

interface Curve {
  /** DER of the object identifier. */
  readonly parameters: Buffer
  /** As JSON Web Keys name it (RFC 7518, 8037, 8812). */
  readonly jwkName: string
  /** As OpenSSL names it. */
  readonly opensslName: string
}

/** A parameter set of ML-KEM (FIPS 203 section 8). */
interface Kem {
  /** CKP_ML_KEM_512 and so on. */
  readonly parameterSet: number
  /** As JSON Web Keys name it. */
  readonly jwkName: string
  readonly ciphertextBytes: number
}

/** Of wrapping keys, which exist for an import and are no KMS keys. */
export const IMPORT_USAGE = 'IMPORT'

const RIGHTS: Readonly<Record<string, PrivateRight>> = {
  SIGN_VERIFY: 'SIGN',
  ENCRYPT_DECRYPT: 'DECRYPT',
  KEY_AGREEMENT: 'DERIVE',
  ENCAPSULATE_DECAPSULATE: 'DECAPSULATE',
  [IMPORT_USAGE]: 'UNWRAP',
}

type PairShape = Omit<PairKind, 'keyUsage' | 'right'>

const rsa = (bits: number): PairShape => ({ keySpec: `RSA_${bits}`, tokenKeyType: 'RSA', lengthBytes: bits / 8 })
const ec = (keySpec: string, oid: string, [jwkName, opensslName]: [string, string], bits: number): PairShape => ({
  keySpec,
  tokenKeyType: 'EC',
  lengthBytes: Math.ceil(bits / 8),
  curve: { parameters: Buffer.from(oid, 'hex'), jwkName, opensslName },
})

const mlKem = (size: number, parameterSet: number, lengthBytes: number, ciphertextBytes: number): PairShape => ({
  ...{ keySpec: `ML_KEM_${size}`, tokenKeyType: 'ML_KEM', lengthBytes },
  kem: { parameterSet, jwkName: `ML-KEM-${size}`, ciphertextBytes },
})

const SHAPES: readonly PairShape[] = [
  rsa(2_048),
  rsa(3_072),
  rsa(4_096),
  ec('ECC_NIST_P256', '06082a8648ce3d030107', ['P-256', 'prime256v1'], 256),
  ec('ECC_NIST_P384', '06052b81040022', ['P-384', 'secp384r1'], 384),
  ec('ECC_NIST_P521', '06052b81040023', ['P-521', 'secp521r1'], 521),
  ec('ECC_SECG_P256K1', '06052b8104000a', ['secp256k1', 'secp256k1'], 256),
  {
    keySpec: 'ECC_NIST_EDWARDS25519',
    tokenKeyType: 'EC_EDWARDS',
    lengthBytes: 32,
    curve: { parameters: Buffer.from('06032b6570', 'hex'), jwkName: 'Ed25519', opensslName: 'ED25519' },
  },
  mlKem(512, 1, 800, 768),
  mlKem(768, 2, 1_184, 1_088),
  mlKem(1_024, 3, 1_568, 1_568),
]

/** Undefined when the spec is not one of key pairs, or has no such usage. */
export function pairKindOf(keySpec: string, keyUsage: string): PairKind | undefined {
  const shape = SHAPES.find(entry => entry.keySpec === keySpec)
  const right = RIGHTS[keyUsage]
  if (shape === undefined || right === undefined) return undefined
  if (right === 'UNWRAP' && shape.tokenKeyType !== 'RSA') return undefined
  return (right === 'DECAPSULATE') === (shape.kem !== undefined) ? { ...shape, keyUsage, right } : undefined
}

/** What pairs of a spec are when they are made for a caller, who may use them as the spec allows. */
export function dataPairKindOf(pairSpec: string): PairKind | undefined {
  return pairKindOf(pairSpec, 'SIGN_VERIFY') ?? pairKindOf(pairSpec, 'ENCAPSULATE_DECAPSULATE')
}

export interface Pair {
  readonly publicKey: ObjectHandle
  readonly privateKey: ObjectHandle
}

const PUBLIC_EXPONENT = Buffer.from('010001', 'hex')
const CKM_EC_EDWARDS_KEY_PAIR_GEN = 0x1055
const CKK_EC_EDWARDS = 0x40
const CKM_ML_KEM_KEY_PAIR_GEN = 0x0f
const CKK_ML_KEM = 0x49

const NO_PRIVATE_RIGHTS = { DECRYPT: false, SIGN: false, SIGN_RECOVER: false, UNWRAP: false, DERIVE: false } as const

const KEY_TYPES = {
  RSA: pkcs11.CKK_RSA,
  EC: pkcs11.CKK_EC,
  EC_EDWARDS: CKK_EC_EDWARDS,
  ML_KEM: CKK_ML_KEM,
} as const
const GENERATION = {
  RSA: pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN,
  EC: pkcs11.CKM_EC_KEY_PAIR_GEN,
  EC_EDWARDS: CKM_EC_EDWARDS_KEY_PAIR_GEN,
  ML_KEM: CKM_ML_KEM_KEY_PAIR_GEN,
} as const

/** What a private key is in the token. `extractable` is for the moment between generating and wrapping. */
export function privateTemplate(
  { tokenKeyType, right }: PairKind,
  { inToken = false, sensitive = true, extractable }: { inToken?: boolean; sensitive?: boolean; extractable: boolean },
): Attributes {
  return attributes({
    CLASS: pkcs11.CKO_PRIVATE_KEY,
    KEY_TYPE: KEY_TYPES[tokenKeyType],
    TOKEN: inToken,
    PRIVATE: true,
    SENSITIVE: sensitive,
    EXTRACTABLE: extractable,
    ...NO_PRIVATE_RIGHTS,
    [right]: true,
  })
}

/** Generates a pair as session objects, which the caller destroys. Not `sensitive` is for pairs that are handed out. */
export function generatePair(
  cryptoki: Cryptoki,
  session: SessionHandle,
  kind: PairKind,
  { sensitive = true }: { sensitive?: boolean } = {},
): Pair {
  return generate(cryptoki, session, kind, privateTemplate(kind, { sensitive, extractable: true }))
}

/** The same with a private half that stays in the token, as an object that ends its template with `last`. */
export function generateResidentPair(
  cryptoki: Cryptoki,
  session: SessionHandle,
  kind: PairKind,
  last: Attributes,
): Pair {
  return generate(cryptoki, session, kind, [...privateTemplate(kind, { inToken: true, extractable: false }), ...last])
}

function generate(cryptoki: Cryptoki, session: SessionHandle, kind: PairKind, privateKey: Attributes): Pair {
  const identity = { CLASS: pkcs11.CKO_PUBLIC_KEY, TOKEN: false, PRIVATE: false }
  const mechanism = { mechanism: GENERATION[kind.tokenKeyType] }
  return cryptoki.C_GenerateKeyPair(session, mechanism, attributes({ ...identity, ...shapeOf(kind) }), privateKey)
}

/** What the template of a public key says of the pair that is to be made. */
function shapeOf({ curve, kem, lengthBytes }: PairKind): Readonly<Record<string, number | boolean | Buffer>> {
  if (kem !== undefined) return { PARAMETER_SET: kem.parameterSet, ENCAPSULATE: true }
  return curve === undefined ? { MODULUS_BITS: lengthBytes * 8, PUBLIC_EXPONENT } : { EC_PARAMS: curve.parameters }
}

/** SubjectPublicKeyInfo, DER. */
export function spkiOf(jwk: webcrypto.JsonWebKey): Buffer {
  return createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' })
}

/** The public half as a JSON Web Key. */
export function publicJwk(
  cryptoki: Cryptoki,
  session: SessionHandle,
  { curve, kem, lengthBytes, tokenKeyType }: PairKind,
  handle: ObjectHandle,
): webcrypto.JsonWebKey {
  const read = (type: number) => readAttribute(cryptoki, session, handle, type)
  if (kem !== undefined) {
    // webcrypto's type has not heard of AKP (RFC 9964).
    return { kty: 'AKP', alg: kem.jwkName, pub: read(pkcs11.CKA_VALUE).toString('base64url') } as webcrypto.JsonWebKey
  }
  if (curve === undefined) {
    const [n, e] = [read(pkcs11.CKA_MODULUS), read(pkcs11.CKA_PUBLIC_EXPONENT)]
    return { kty: 'RSA', n: n.toString('base64url'), e: e.toString('base64url') }
  }
  // PKCS#11 puts the point into a DER OCTET STRING; some tokens give it bare. Its end is the same.
  const point = read(pkcs11.CKA_EC_POINT)
  const coordinate = (fromEnd: number) =>
    point.subarray(point.length - fromEnd, point.length - fromEnd + lengthBytes).toString('base64url')
  const crv = curve.jwkName
  return tokenKeyType === 'EC_EDWARDS'
    ? { kty: 'OKP', crv, x: coordinate(lengthBytes) }
    : { kty: 'EC', crv, x: coordinate(2 * lengthBytes), y: coordinate(lengthBytes) }
}

export function readAttribute(cryptoki: Cryptoki, session: SessionHandle, handle: ObjectHandle, type: number): Buffer {
  const [attribute] = cryptoki.C_GetAttributeValue(session, handle, [{ type }])
  return Buffer.from(attribute?.value as Buffer)
}

/** Makes a session object of a public key, for a token that is to verify with it. The caller destroys it. */
export function importPublicKey(
  cryptoki: Cryptoki,
  session: SessionHandle,
  { curve, tokenKeyType }: PairKind,
  spki: Buffer,
): ObjectHandle {
  const jwk = publicKeyOf(spki).export({ format: 'jwk' })
  const bytes = (text: string | undefined) => Buffer.from(text ?? '', 'base64url')
  const shape: Readonly<Record<string, Buffer>> =
    curve === undefined
      ? { MODULUS: bytes(jwk.n), PUBLIC_EXPONENT: bytes(jwk.e) }
      : { EC_PARAMS: curve.parameters, EC_POINT: octetString(pointOf(tokenKeyType, bytes(jwk.x), bytes(jwk.y))) }
  const identity = { CLASS: pkcs11.CKO_PUBLIC_KEY, KEY_TYPE: KEY_TYPES[tokenKeyType], TOKEN: false, PRIVATE: false }
  return cryptoki.C_CreateObject(session, attributes({ ...identity, VERIFY: true, ...shape }))
}

/** The point of a public key on this curve, uncompressed; undefined when the bytes are no such key. */
export function publicPointOf({ curve, tokenKeyType }: PairKind, spki: Buffer): Buffer | undefined {
  try {
    const { crv, x, y } = createPublicKey({ key: spki, format: 'der', type: 'spki' }).export({ format: 'jwk' })
    if (crv !== curve?.jwkName) return undefined
    return pointOf(tokenKeyType, Buffer.from(x ?? '', 'base64url'), Buffer.from(y ?? '', 'base64url'))
  } catch {
    return undefined
  }
}

/** Throws HsmFault `key` when these bytes are no public key. */
export function publicKeyOf(spki: Buffer): KeyObject {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch (error) {
    throw new HsmFault('key', 'not a public key', { cause: error })
  }
}

/** The id of a key pair's material fixes the pair (security.md 2.2). */
export function pairMid(kid: Buffer, spki: Buffer): Buffer {
  return hash('sha256', Buffer.concat([kid, spki]), 'buffer')
}

export function spkiDigestOf(spki: Buffer): Buffer {
  return hash('sha256', spki, 'buffer')
}

/** The generator of a Weierstrass curve, uncompressed: the public key of the private key 1. */
export function generatorOf({ curve, lengthBytes }: PairKind): Buffer {
  const ecdh = createECDH(curve?.opensslName ?? '')
  ecdh.setPrivateKey(Buffer.concat([Buffer.alloc(lengthBytes - 1), Buffer.from([1])]))
  return ecdh.getPublicKey()
}

const UNCOMPRESSED = Buffer.from([0x04])

function pointOf(tokenKeyType: PairKind['tokenKeyType'], x: Buffer, y: Buffer): Buffer {
  return tokenKeyType === 'EC_EDWARDS' ? x : Buffer.concat([UNCOMPRESSED, x, y])
}

/** DER of an OCTET STRING below 256 bytes, which is how PKCS#11 spells CKA_EC_POINT (3.1, section 6.3.3). */
function octetString(content: Buffer): Buffer {
  const length = content.length < 0x80 ? [content.length] : [0x81, content.length]
  return Buffer.concat([Buffer.from([0x04, ...length]), content])
}
