/**
 * Ed25519 keys on their way into a token that does not take them wrapped: out of PKCS #8 in this process, to an object that
 * stays in the token (hsm.importInHost). Whatever is wrong with the bytes is one fault (security.md 2.7).
 */
import { createPrivateKey, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { wipe } from '../../base/bytes.ts'
import { HsmFault } from '../contract/fault.ts'
import { type Attributes, attributes, type Cryptoki, type ObjectHandle, type SessionHandle } from './cryptoki.ts'
import { type PairKind, privateTemplate, publicKeyOf } from './key-pairs.ts'
import { badMaterial, PROOF } from './material-import.ts'
import { signatureRecipe } from './signatures.ts'

/** RFC 8032 section 5.1.5. */
const SEED_BYTES = 32

/**
 * Makes the object, which ends its template with `last`, and proves that it is the key. Throws HsmFault, `input` when the bytes
 * are no Ed25519 key in PKCS #8.
 */
export function keepPrivateKey(
  cryptoki: Cryptoki,
  session: SessionHandle,
  kind: PairKind,
  pkcs8: Buffer,
  last: Attributes,
): { handle: ObjectHandle; publicKey: Buffer } {
  const { seed, publicKey } = edwardsKeyOf(pkcs8)
  try {
    const value = attributes({ EC_PARAMS: kind.curve?.parameters ?? Buffer.alloc(0), VALUE: seed })
    const template = [...privateTemplate(kind, { inToken: true, extractable: false }), ...value, ...last]
    const handle = cryptoki.C_CreateObject(session, template)
    try {
      requireProof(cryptoki, session, kind, handle, publicKey)
      return { handle, publicKey }
    } catch (error) {
      cryptoki.C_DestroyObject(session, handle)
      throw error
    }
  } finally {
    wipe(seed)
  }
}

/** What the token signs with the object, the public key verifies. */
function requireProof(
  cryptoki: Cryptoki,
  session: SessionHandle,
  kind: PairKind,
  handle: ObjectHandle,
  publicKey: Buffer,
): void {
  const recipe = signatureRecipe(kind, 'ED25519_SHA_512', PROOF)
  cryptoki.C_SignInit(session, recipe.mechanism, handle)
  const raw = cryptoki.C_Sign(session, recipe.input(PROOF), Buffer.alloc(recipe.signatureBytes))
  if (verify(null, PROOF, publicKeyOf(publicKey), recipe.encode(raw))) return
  throw new HsmFault('token', 'the token made another key of the one that was imported')
}

/** The seed ends PKCS #8 of version 1, without attributes (RFC 8410 section 7). The caller wipes it. */
function edwardsKeyOf(pkcs8: Buffer): { seed: Buffer; publicKey: Buffer } {
  const key = privateKeyOf(pkcs8)
  if (key.asymmetricKeyType !== 'ed25519') throw badMaterial()
  const plain = key.export({ type: 'pkcs8', format: 'der' })
  try {
    const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' })
    return { seed: Buffer.from(plain.subarray(-SEED_BYTES)), publicKey }
  } finally {
    wipe(plain)
  }
}

function privateKeyOf(pkcs8: Buffer): KeyObject {
  try {
    return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  } catch {
    // Without its cause, which may quote what it was given.
    throw badMaterial()
  }
}
