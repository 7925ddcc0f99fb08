/** Key material that a test knows, and the shapes in which its bytes could lie in a process's memory or in a file. */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { AlgorithmSpec, CreateKeyRequest } from '@aws-sdk/client-kms'
import { pkcs8 } from './import.ts'

export interface KnownKey {
  readonly kind: CreateKeyRequest
  readonly algorithm: AlgorithmSpec
  /** As it is imported. */
  readonly material: Buffer
  /** What must be seen nowhere. */
  readonly secrets: readonly Buffer[]
  /** What of it everybody may see; empty for secret keys. */
  readonly publicPart: Buffer
}

const NOBODY = Buffer.alloc(0)

/** One of each way that material takes: secret keys by either hash, key pairs in two steps. */
export function makeKnownKeys(): KnownKey[] {
  const secret = (kind: CreateKeyRequest, algorithm: AlgorithmSpec): KnownKey => {
    const material = randomBytes(32)
    return { kind, algorithm, material, secrets: [material], publicPart: NOBODY }
  }
  const hmac = { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' } as const
  return [
    secret({}, 'RSAES_OAEP_SHA_1'),
    secret({}, 'RSAES_OAEP_SHA_256'),
    secret(hmac, 'RSAES_OAEP_SHA_256'),
    rsaKey('RSA_AES_KEY_WRAP_SHA_1'),
    rsaKey('RSA_AES_KEY_WRAP_SHA_256'),
    ecKey('RSA_AES_KEY_WRAP_SHA_256'),
    ecKey('RSAES_OAEP_SHA_256'),
    edwardsKey('RSA_AES_KEY_WRAP_SHA_256'),
  ]
}

function rsaKey(algorithm: AlgorithmSpec): KnownKey {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  const { d, p, q, n } = privateKey.export({ format: 'jwk' })
  const kind = { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' } as const
  return { kind, algorithm, material: pkcs8(privateKey), secrets: [d, p, q].map(numberOf), publicPart: numberOf(n) }
}

function ecKey(algorithm: AlgorithmSpec): KnownKey {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { d, x } = privateKey.export({ format: 'jwk' })
  const kind = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' } as const
  return { kind, algorithm, material: pkcs8(privateKey), secrets: [numberOf(d)], publicPart: numberOf(x) }
}

function edwardsKey(algorithm: AlgorithmSpec): KnownKey {
  const { privateKey } = generateKeyPairSync('ed25519')
  const { d, x } = privateKey.export({ format: 'jwk' })
  const kind = { KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' } as const
  return { kind, algorithm, material: pkcs8(privateKey), secrets: [numberOf(d)], publicPart: numberOf(x) }
}

function numberOf(member: string | undefined): Buffer {
  return Buffer.from(member ?? '', 'base64url')
}

const PIECE_BYTES = 21

/** A piece of a secret, long enough that nothing else is it. */
function pieceOf(secret: Buffer, shift = 0): Buffer {
  const start = Math.floor((secret.length - PIECE_BYTES) / 2) - 1 + shift
  return secret.subarray(start, start + PIECE_BYTES)
}

/** As a program holds it: as it is, and backwards, for OpenSSL's big numbers begin with their least significant end. */
export function bytesOf(secret: Buffer): Buffer[] {
  return [pieceOf(secret), Buffer.from(pieceOf(secret)).reverse()]
}

/** As somebody writes it down: in hex, and in base64 at each of its three alignments. */
export function textsOf(secret: Buffer): string[] {
  return [pieceOf(secret).toString('hex'), ...[0, 1, 2].map(shift => pieceOf(secret, shift).toString('base64'))]
}
