/**
 * Which private keys a token can hand out wrapped and take back, and which it can only hold; and what it decrypts by
 * RSA-OAEP. A key counts as wrappable when what was unwrapped again signs, and the signature verifies outside.
 */
import { constants, createHash, createHmac, createPublicKey, publicDecrypt, publicEncrypt, verify } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import {
  HASH_OF_OAEP,
  OAEP_HASHES,
  type OaepHash,
  type PrivateKeyHome,
  type TokenProfile,
} from '../../contract/token-profile.ts'
import { type Attributes, attributes, NO_RIGHTS, type ObjectHandle } from '../cryptoki.ts'
import { HMAC_SHA_256, oaepMechanism } from '../mechanisms.ts'
import { type Bench, WrongAnswer } from './bench.ts'
import { tryMlKem } from './encapsulation.ts'
import { type KeyWraps, wrapOutside } from './key-wrap.ts'
import { KNOWN_RSA_KEY, KNOWN_RSA_PUBLIC_KEY } from './known-rsa-key.ts'
import type { Quirks } from './quirks.ts'

type Values = Parameters<typeof attributes>[0]

const KEK = Buffer.alloc(32, 0x69)
const MESSAGE = Buffer.alloc(32, 0x2b)
const WRAPPED_MAX_BYTES = 4_096
const RSA_BYTES = 256
/** DER of the object identifiers of P-256 and Ed25519. */
const P256 = Buffer.from('06082a8648ce3d030107', 'hex')
const ED25519 = Buffer.from('06032b6570', 'hex')
const CKM_EC_EDWARDS_KEY_PAIR_GEN = 0x1055
const CKM_EDDSA = 0x1057
const CKK_EC_EDWARDS = 0x40
/** NSS: the point of an EC private key that is to be unwrapped. */
const CKA_NSS_DB = 0xd5a0_db00

export function tryPrivateKeys(
  bench: Bench,
  wraps: KeyWraps,
  quirks: Quirks,
): Pick<TokenProfile, 'privateKeys' | 'oaepHashes' | 'oaepUnwraps'> {
  const wrap = wraps.get('RFC5649')
  const title = 'RSA-2048 unwrapped, wrapped and unwrapped again'
  const rsa = wrap === undefined ? bench.skip(title, 'no RFC 5649') : bench.try(title, () => unwrapRsa(bench, wrap))
  const generatesRsa = bench.offers(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN) && bench.offers(pkcs11.CKM_RSA_PKCS)
  return {
    privateKeys: {
      RSA: rsa === undefined ? (generatesRsa ? 'resident' : 'none') : 'ekt',
      EC: tryPair(bench, wrap, ecPair(quirks)),
      EC_EDWARDS: tryPair(bench, wrap, edwardsPair),
      ...tryMlKem(bench, wrap),
    },
    oaepHashes: rsa === undefined ? [] : tryOaep(bench, rsa),
    oaepUnwraps: rsa === undefined ? [] : tryOaepUnwrap(bench, rsa),
  }
}

/** The known key, wrapped outside: unwrapped in the token, wrapped there, and unwrapped once more as an EKT is. */
function unwrapRsa(bench: Bench, wrap: pkcs11.Mechanism): ObjectHandle {
  const { cryptoki, session } = bench
  const kek = bench.importKey(pkcs11.CKK_AES, { WRAP: true, UNWRAP: true }, KEK)
  const unwrap = (wrapped: Buffer, extractable: boolean) => {
    const template = privateKey(pkcs11.CKK_RSA, { EXTRACTABLE: extractable, SIGN: true, DECRYPT: true, UNWRAP: true })
    return bench.keep(cryptoki.C_UnwrapKey(session, wrap, kek, wrapped, template))
  }
  const first = unwrap(wrapOutside('RFC5649', KEK, KNOWN_RSA_KEY), true)
  const key = unwrap(cryptoki.C_WrapKey(session, wrap, kek, first, Buffer.alloc(WRAPPED_MAX_BYTES)), false)
  cryptoki.C_SignInit(session, { mechanism: pkcs11.CKM_RSA_PKCS }, key)
  const signature = cryptoki.C_Sign(session, MESSAGE, Buffer.alloc(RSA_BYTES))
  if (!publicDecrypt(KNOWN_RSA_PUBLIC_KEY, signature).equals(MESSAGE)) throw new WrongAnswer('signs otherwise')
  return key
}

/** RSAES-OAEP with the known key: OpenSSL encrypts, the token decrypts. */
function tryOaep(bench: Bench, key: ObjectHandle): OaepHash[] {
  const { cryptoki, session } = bench
  return OAEP_HASHES.filter(hash => {
    const title = `RSA-OAEP with ${hash}`
    if (!bench.offers(pkcs11.CKM_RSA_PKCS_OAEP)) return bench.skip(title, 'no such mechanism')
    return bench.try(title, () => {
      const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: HASH_OF_OAEP[hash] }
      const encrypted = publicEncrypt({ key: KNOWN_RSA_PUBLIC_KEY, ...padding }, MESSAGE)
      cryptoki.C_DecryptInit(session, oaepMechanism(hash), key)
      if (!cryptoki.C_Decrypt(session, encrypted, Buffer.alloc(RSA_BYTES)).equals(MESSAGE)) {
        throw new WrongAnswer('decrypts to other bytes')
      }
      return true
    })
  })
}

/** A secret under the known key: it comes in as an object that is not readable, and makes the known MAC. */
function tryOaepUnwrap(bench: Bench, key: ObjectHandle): OaepHash[] {
  const { cryptoki, session } = bench
  return OAEP_HASHES.filter(hash => {
    const title = `a secret unwrapped by RSA-OAEP with ${hash}`
    if (!bench.offers(pkcs11.CKM_RSA_PKCS_OAEP)) return bench.skip(title, 'no such mechanism')
    return bench.try(title, () => {
      const padding = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: HASH_OF_OAEP[hash] }
      const wrapped = publicEncrypt({ key: KNOWN_RSA_PUBLIC_KEY, ...padding }, MESSAGE)
      const template = attributes({
        ...{ CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: pkcs11.CKK_GENERIC_SECRET, TOKEN: false, PRIVATE: true },
        ...{ SENSITIVE: true, EXTRACTABLE: true, ...NO_RIGHTS, SIGN: true },
      })
      const secret = bench.keep(cryptoki.C_UnwrapKey(session, oaepMechanism(hash), key, wrapped, template))
      cryptoki.C_SignInit(session, HMAC_SHA_256, secret)
      const mac = createHmac('sha256', MESSAGE).update(MESSAGE).digest()
      if (!cryptoki.C_Sign(session, MESSAGE, Buffer.alloc(mac.length)).equals(mac)) throw new WrongAnswer('other bytes')
      return true
    })
  })
}

/** A kind of key pair: how it is made, signs, and verifies outside. */
interface Pair {
  readonly name: string
  readonly keyType: number
  readonly generation: number
  readonly parameters: Buffer
  readonly signing: number
  /** What C_UnwrapKey wants beside the usual. */
  readonly unwrapExtras: (point: Buffer) => Attributes
  readonly verifies: (point: Buffer, signature: Buffer) => boolean
}

const ecPair = (quirks: Quirks): Pair => ({
  name: 'EC P-256',
  keyType: pkcs11.CKK_EC,
  generation: pkcs11.CKM_EC_KEY_PAIR_GEN,
  parameters: P256,
  signing: pkcs11.CKM_ECDSA,
  unwrapExtras: point => (quirks.ecPointOnUnwrap === true ? [{ type: CKA_NSS_DB, value: point }] : []),
  verifies: (der, signature) => {
    const point = der.subarray(-64)
    const [x = '', y = ''] = [point.subarray(0, 32), point.subarray(32)].map(half => half.toString('base64url'))
    const key = createPublicKey({ key: { kty: 'EC', crv: 'P-256', x, y }, format: 'jwk' })
    return verify('sha256', MESSAGE, { key, dsaEncoding: 'ieee-p1363' }, signature)
  },
})

const edwardsPair: Pair = {
  name: 'Ed25519',
  keyType: CKK_EC_EDWARDS,
  generation: CKM_EC_EDWARDS_KEY_PAIR_GEN,
  parameters: ED25519,
  signing: CKM_EDDSA,
  unwrapExtras: () => [],
  verifies: (der, signature) => {
    const key = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: der.subarray(-32).toString('base64url') },
      format: 'jwk',
    })
    return verify(null, MESSAGE, key, signature)
  },
}

function tryPair(bench: Bench, wrap: pkcs11.Mechanism | undefined, pair: Pair): PrivateKeyHome {
  const { cryptoki, session } = bench
  const { name, keyType } = pair
  if (!bench.offers(pair.generation)) {
    bench.skip(`${name} generated`, 'no such mechanism')
    return 'none'
  }
  const made = bench.try(`${name} generated, signs`, () => {
    const keys = cryptoki.C_GenerateKeyPair(
      session,
      { mechanism: pair.generation },
      attributes({ TOKEN: false, PRIVATE: false, EC_PARAMS: pair.parameters, VERIFY: true }),
      attributes({ TOKEN: false, PRIVATE: true, SENSITIVE: true, EXTRACTABLE: wrap !== undefined, SIGN: true }),
    )
    bench.keep(keys.privateKey)
    bench.keep(keys.publicKey)
    const [attribute] = cryptoki.C_GetAttributeValue(session, keys.publicKey, [{ type: pkcs11.CKA_EC_POINT }])
    const point = Buffer.from(attribute?.value as Buffer)
    requireSignature(bench, pair, keys.privateKey, point)
    return { privateKey: keys.privateKey, point }
  })
  if (made === undefined) return 'none'
  const title = `${name} wrapped and unwrapped`
  if (wrap === undefined) {
    bench.skip(title, 'no RFC 5649')
    return 'resident'
  }
  const wrapped = bench.try(title, () => {
    const kek = bench.importKey(pkcs11.CKK_AES, { WRAP: true, UNWRAP: true }, KEK)
    const blob = cryptoki.C_WrapKey(session, wrap, kek, made.privateKey, Buffer.alloc(WRAPPED_MAX_BYTES))
    const template = [...privateKey(keyType, { EXTRACTABLE: false, SIGN: true }), ...pair.unwrapExtras(made.point)]
    requireSignature(bench, pair, bench.keep(cryptoki.C_UnwrapKey(session, wrap, kek, blob, template)), made.point)
    return true
  })
  return wrapped === undefined ? 'resident' : 'ekt'
}

function requireSignature({ cryptoki, session }: Bench, pair: Pair, key: ObjectHandle, point: Buffer): void {
  const input = pair.signing === pkcs11.CKM_ECDSA ? createHash('sha256').update(MESSAGE).digest() : MESSAGE
  cryptoki.C_SignInit(session, { mechanism: pair.signing }, key)
  const signature = cryptoki.C_Sign(session, input, Buffer.alloc(64))
  if (!pair.verifies(point, signature)) throw new WrongAnswer('its signature does not verify')
}

function privateKey(keyType: number, values: Values): Attributes {
  return attributes({
    CLASS: pkcs11.CKO_PRIVATE_KEY,
    KEY_TYPE: keyType,
    TOKEN: false,
    PRIVATE: true,
    SENSITIVE: true,
    ...values,
  })
}
