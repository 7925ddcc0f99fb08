/**
 * Whether two private keys in a token are one, told without reading either: RSASSA-PKCS1-v1_5 and EdDSA give one signature
 * for one message (RFC 8017 section 8.2.1, RFC 8032 section 5.1.6), and ECDH one secret with one public point. ECDSA draws a
 * nonce, and would not do.
 */
import { hash } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { attributes, type Cryptoki, NO_RIGHTS, type ObjectHandle, type SessionHandle } from './cryptoki.ts'
import { generatorOf, type PairKind, readAttribute } from './key-pairs.ts'
import { ecdhMechanism } from './mechanisms.ts'
import { signatureRecipe } from './signatures.ts'

const SIGNATURE_ROOM_BYTES = 512

/**
 * 32 bytes that are the same for copies of one private key under one challenge. The key has the right SIGN, or DERIVE when it
 * is of a Weierstrass curve.
 */
export function fingerprintPrivateKey(
  cryptoki: Cryptoki,
  session: SessionHandle,
  kind: PairKind,
  handle: ObjectHandle,
  challenge: Buffer,
): Buffer {
  const proof =
    kind.tokenKeyType === 'EC'
      ? agree(cryptoki, session, kind, handle)
      : sign(cryptoki, session, kind, handle, hash('sha256', challenge, 'buffer'))
  return hash('sha256', Buffer.concat([challenge, proof]), 'buffer')
}

function sign(
  cryptoki: Cryptoki,
  session: SessionHandle,
  kind: PairKind,
  handle: ObjectHandle,
  digest: Buffer,
): Buffer {
  const algorithm = kind.tokenKeyType === 'RSA' ? 'RSASSA_PKCS1_V1_5_SHA_256' : 'ED25519_SHA_512'
  const recipe = signatureRecipe(kind, algorithm, digest)
  cryptoki.C_SignInit(session, recipe.mechanism, handle)
  return cryptoki.C_Sign(session, recipe.input(digest), Buffer.alloc(SIGNATURE_ROOM_BYTES))
}

/** With the curve's generator. The secret is the key's own public coordinate. */
function agree(cryptoki: Cryptoki, session: SessionHandle, kind: PairKind, handle: ObjectHandle): Buffer {
  const template = attributes({
    CLASS: pkcs11.CKO_SECRET_KEY,
    KEY_TYPE: pkcs11.CKK_GENERIC_SECRET,
    VALUE_LEN: kind.lengthBytes,
    TOKEN: false,
    PRIVATE: true,
    SENSITIVE: false,
    EXTRACTABLE: true,
    ...NO_RIGHTS,
  })
  const derived = cryptoki.C_DeriveKey(session, ecdhMechanism(generatorOf(kind)), handle, template)
  try {
    return readAttribute(cryptoki, session, derived, pkcs11.CKA_VALUE)
  } finally {
    cryptoki.C_DestroyObject(session, derived)
  }
}
