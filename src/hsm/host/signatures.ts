/**
 * Signatures by a private key in the token. What goes to the token is a digest, or the message where the scheme hashes it
 * itself; every token that has a type of key has these mechanisms (hsm.md 3).
 */
import { derToJose, joseToDer } from 'ecdsa-sig-formatter'
import pkcs11 from 'pkcs11js'
import { HASH_BYTES, type Hash, signingFacts } from '../../model/algorithms.ts'
import { HsmFault } from '../contract/fault.ts'
import { words } from './cryptoki.ts'
import type { PairKind } from './key-pairs.ts'

export interface SignatureRecipe {
  readonly mechanism: pkcs11.Mechanism
  /** Bytes of the token's signature: NSS makes none of Ed25519 where there is room for more. */
  readonly signatureBytes: number
  /** What the token is given for a digest, or for a message where the scheme takes that. */
  readonly input: (bytes: Buffer) => Buffer
  /** From the token's form to the one that callers know. */
  readonly encode: (signature: Buffer) => Buffer
  /** The other way round. Throws HsmFault `input` for what is no signature. */
  readonly decode: (signature: Buffer) => Buffer
}

const CKM_EDDSA = 0x1057
const same = (bytes: Buffer): Buffer => bytes
const asItIs = { input: same, encode: same, decode: same } as const

/** DER of the DigestInfo of a hash, up to the digest itself (RFC 8017 section 9.2, note 1). */
const DIGEST_INFO: Readonly<Partial<Record<Hash, Buffer>>> = {
  sha256: Buffer.from('3031300d060960864801650304020105000420', 'hex'),
  sha384: Buffer.from('3041300d060960864801650304020205000430', 'hex'),
  sha512: Buffer.from('3051300d060960864801650304020305000440', 'hex'),
}

/** CK_RSA_PKCS_PSS_PARAMS {hashAlg, mgf, sLen}: the salt is as long as the digest. */
const PSS: Readonly<Partial<Record<Hash, Buffer>>> = {
  sha256: words(pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256, HASH_BYTES.sha256),
  sha384: words(pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384, HASH_BYTES.sha384),
  sha512: words(pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512, HASH_BYTES.sha512),
}

/** The JWA name that stands for the width of r and s (RFC 7518 section 3.4); secp256k1's is that of P-256. */
const JWA_BY_WIDTH: Readonly<Record<number, string>> = { 32: 'ES256', 48: 'ES384', 66: 'ES512' }

/**
 * How a key makes a signature. Throws HsmFault `key` when the algorithm is none of its own, `input` when the bytes are not
 * of the length that the algorithm's hash has.
 */
export function signatureRecipe(kind: PairKind, algorithm: string, bytes: Buffer): SignatureRecipe {
  const facts = signingFacts(algorithm)
  if (facts === undefined || kind.tokenKeyType !== TYPE_BY_SCHEME[facts.scheme]) {
    throw new HsmFault('key', `${kind.keySpec} does not sign by ${algorithm}`)
  }
  const { scheme, hash } = facts
  if (hash !== undefined && bytes.length !== HASH_BYTES[hash]) throw new HsmFault('input', 'digest of another length')
  if (scheme === 'ED25519' || hash === undefined) {
    return { ...asItIs, mechanism: { mechanism: CKM_EDDSA }, signatureBytes: 2 * kind.lengthBytes }
  }
  if (scheme === 'ECDSA') return ecdsa(kind)
  const signatureBytes = kind.lengthBytes
  return { signatureBytes, ...(scheme === 'PSS' ? pss(hash) : pkcs1(hash)) }
}

const TYPE_BY_SCHEME = { PKCS1: 'RSA', PSS: 'RSA', ECDSA: 'EC', ED25519: 'EC_EDWARDS' } as const

function pkcs1(hash: Hash): Omit<SignatureRecipe, 'signatureBytes'> {
  const prefix = DIGEST_INFO[hash] ?? Buffer.alloc(0)
  const input = (digest: Buffer) => Buffer.concat([prefix, digest])
  return { ...asItIs, mechanism: { mechanism: pkcs11.CKM_RSA_PKCS }, input }
}

function pss(hash: Hash): Omit<SignatureRecipe, 'signatureBytes'> {
  const parameter = PSS[hash]
  if (parameter === undefined) throw new HsmFault('key', `RSASSA-PSS is not used with ${hash}`)
  return { ...asItIs, mechanism: { mechanism: pkcs11.CKM_RSA_PKCS_PSS, parameter } }
}

/** PKCS#11 gives r and s at fixed width; KMS gives DER. */
function ecdsa({ lengthBytes }: PairKind): SignatureRecipe {
  const jwa = JWA_BY_WIDTH[lengthBytes] ?? ''
  return {
    mechanism: { mechanism: pkcs11.CKM_ECDSA },
    signatureBytes: 2 * lengthBytes,
    input: same,
    encode: signature => joseToDer(signature, jwa),
    decode: signature => {
      try {
        return Buffer.from(derToJose(signature, jwa), 'base64url')
      } catch (error) {
        throw new HsmFault('input', 'not an ECDSA signature', { cause: error })
      }
    },
  }
}
