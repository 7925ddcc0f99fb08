/** Which algorithm a key encrypts with: the one it was asked for, if it is one of its own. */
import type { RequestFacts } from '../../access/request-context.ts'
import type { EncryptionContext } from '../../model/encryption-context.ts'
import type { KmsKey } from '../../model/key.ts'
import type { EncryptionAlgorithm } from '../../model/key-specs.ts'
import { requireHeaderOf } from '../access.ts'
import { hasAlgorithm, requireAlgorithm } from '../algorithm.ts'
import { invalid } from '../shapes.ts'

const DEFAULT = 'SYMMETRIC_DEFAULT'
/** Of requests that say nothing of either. */
const PLAIN: RequestFacts = { keys: { 'kms:EncryptionAlgorithm': DEFAULT } }

/** What conditions may ask of an operation that encrypts or decrypts: the algorithm counts when it is the default too. */
export function encryptionFacts(
  encryptionContext: EncryptionContext | undefined,
  asked: EncryptionAlgorithm | undefined,
): RequestFacts {
  if (encryptionContext === undefined && asked === undefined) return PLAIN
  return { encryptionContext, keys: { 'kms:EncryptionAlgorithm': asked ?? DEFAULT } }
}

/** Throws KmsError InvalidKeyUsageException. An absent algorithm means SYMMETRIC_DEFAULT. */
export function encryptionAlgorithmOf(key: KmsKey, asked: EncryptionAlgorithm | undefined): EncryptionAlgorithm {
  const algorithm = asked ?? DEFAULT
  requireAlgorithm(key, algorithm)
  return algorithm
}

/**
 * The same for what is to be decrypted. AWS reads a ciphertext before it compares algorithm and key, so one that an RSA key
 * made has no header of ours, and is refused as none. Throws KmsError InvalidCiphertext, IncorrectKey or InvalidKeyUsage.
 */
export function decryptionAlgorithmOf(
  key: KmsKey,
  asked: EncryptionAlgorithm | undefined,
  blob: Buffer | undefined,
): EncryptionAlgorithm {
  const algorithm = asked ?? DEFAULT
  if (hasAlgorithm(key, algorithm)) return algorithm
  if (algorithm === DEFAULT && blob !== undefined) requireHeaderOf(key, blob)
  return encryptionAlgorithmOf(key, asked)
}

/** RSA has no associated data to bind a context to. Throws KmsError ValidationException. */
export function refuseContext(context: EncryptionContext | undefined): void {
  if (context !== undefined && context.size > 0) {
    invalid('EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.')
  }
}
