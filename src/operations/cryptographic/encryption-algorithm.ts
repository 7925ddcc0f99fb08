/** Which algorithm a key encrypts with: the one it was asked for, if it is one of its own. */
import type { RequestFacts } from '../../access/request-context.ts'
import type { EncryptionContext } from '../../model/encryption-context.ts'
import { KmsError } from '../../model/errors.ts'
import type { KmsKey } from '../../model/key.ts'
import { algorithmsOf, type EncryptionAlgorithm } from '../../model/key-specs.ts'

const DEFAULT = 'SYMMETRIC_DEFAULT'

/** What conditions may ask of an operation that encrypts or decrypts: the algorithm counts when it is the default too. */
export function encryptionFacts(
  encryptionContext: EncryptionContext | undefined,
  asked: EncryptionAlgorithm | undefined,
): RequestFacts {
  return { encryptionContext, keys: { 'kms:EncryptionAlgorithm': asked ?? DEFAULT } }
}

/** Throws KmsError InvalidKeyUsageException. An absent algorithm means SYMMETRIC_DEFAULT. */
export function encryptionAlgorithmOf(key: KmsKey, asked: EncryptionAlgorithm | undefined): EncryptionAlgorithm {
  const algorithm = asked ?? DEFAULT
  if (algorithmsOf(key.spec, key.usage).includes(algorithm)) return algorithm
  throw new KmsError('InvalidKeyUsageException', `Algorithm ${algorithm} is incompatible with key spec ${key.spec}.`)
}
