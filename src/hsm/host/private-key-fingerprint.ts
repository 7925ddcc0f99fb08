/**
 * Whether two private keys in a token are one, told without reading either: RSASSA-PKCS1-v1_5 and EdDSA give one signature
 * for one message (RFC 8017 section 8.2.1, RFC 8032 section 5.1.6), ECDH one secret with one public point, and ML-KEM one
 * secret for one ciphertext. ECDSA draws a nonce, and would not do.
 */
import { createHash, hash } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { attributes, type Cryptoki, NO_RIGHTS, type ObjectHandle, type SessionHandle } from './cryptoki.ts'
import { decapsulate } from './decapsulation.ts'
import { generatorOf, type PairKind, type PrivateRight, readAttribute } from './key-pairs.ts'
import { ecdhMechanism } from './mechanisms.ts'
import { signatureRecipe } from './signatures.ts'

/**
 * 32 bytes that are the same for copies of one private key under one challenge. The key has the right that
 * {@link comparedBy} names.
 */
export function fingerprintPrivateKey(
  cryptoki: Cryptoki,
  session: SessionHandle,
  kind: PairKind,
  handle: ObjectHandle,
  challenge: Buffer,
): Buffer {
  const proof = proofOf(cryptoki, session, kind, handle, challenge)
  return hash('sha256', Buffer.concat([challenge, proof]), 'buffer')
}

/** The one right by which {@link fingerprintPrivateKey} tells a private key of this kind. */
export function comparedBy({ tokenKeyType }: PairKind): PrivateRight {
  if (tokenKeyType === 'ML_KEM') return 'DECAPSULATE'
  return tokenKeyType === 'EC' ? 'DERIVE' : 'SIGN'
}

function proofOf(
  cryptoki: Cryptoki,
  session: SessionHandle,
  kind: PairKind,
  handle: ObjectHandle,
  challenge: Buffer,
): Buffer {
  const right = comparedBy(kind)
  if (right === 'DERIVE') return agree(cryptoki, session, kind, handle)
  if (right === 'SIGN') return sign(cryptoki, session, kind, handle, hash('sha256', challenge, 'buffer'))
  // No key has made these bytes: what they give depends on the private key alone (FIPS 203 section 6.3, step 9).
  const ciphertext = createHash('shake256', { outputLength: kind.kem?.ciphertextBytes ?? 0 })
    .update(challenge)
    .digest()
  return decapsulate(cryptoki, session, handle, ciphertext)
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
  return cryptoki.C_Sign(session, recipe.input(digest), Buffer.alloc(recipe.signatureBytes))
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
