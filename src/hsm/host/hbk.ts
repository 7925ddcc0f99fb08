/** An HBK as the host's parts hand it to each other: asked for, made, in use. */
import type { Purpose } from '../../formats/derivation.ts'
import { SPKI_DIGEST_BYTES } from '../../formats/ekt.ts'
import type { BaseKey } from './ciphers/message-cipher.ts'
import type { PairKind } from './key-pairs.ts'

/** Whose HBK is to be made, and for what. */
export interface HbkRequest {
  readonly account: string
  readonly kid: Buffer
  readonly keySpec: string
  readonly keyUsage: string
}

/** What is left of a new HBK: its record, the id of its material, and its public half, if it has one. */
export interface NewHbk {
  readonly record: Buffer
  readonly mid: Buffer
  /** SubjectPublicKeyInfo, DER; empty for a secret key. */
  readonly publicKey: Buffer
}

/** An HBK in the token: its handle, and what its verified EKT says. */
export interface Hbk extends BaseKey {
  readonly suite: number
  readonly keySpec: string
  /** Undefined for keys that make MACs, and for private keys. */
  readonly purpose: Purpose | undefined
  /** Of a private key: what it may do. */
  readonly pair: PairKind | undefined
  /** SHA-256 of the SubjectPublicKeyInfo; {@link NO_SPKI_DIGEST} for secret keys. */
  readonly spkiDigest: Buffer
  /** A token object, which outlives its handle here. */
  readonly resident: boolean
  /** By the monotonic clock, in milliseconds. */
  readonly importedAt: number
}

export const NO_SPKI_DIGEST = Buffer.alloc(SPKI_DIGEST_BYTES)
