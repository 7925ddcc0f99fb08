/** Which algorithm a key encrypts with: the one it was asked for, if it is one of its own. */
import { KmsError } from '../../model/errors.ts'
import type { KmsKey } from '../../model/key.ts'
import { algorithmsOf, type EncryptionAlgorithm } from '../../model/key-specs.ts'

/** Throws KmsError InvalidKeyUsageException. An absent algorithm means SYMMETRIC_DEFAULT. */
export function encryptionAlgorithmOf(key: KmsKey, asked: EncryptionAlgorithm | undefined): EncryptionAlgorithm {
  const algorithm = asked ?? 'SYMMETRIC_DEFAULT'
  if (algorithmsOf(key.spec, key.usage).includes(algorithm)) return algorithm
  throw new KmsError('InvalidKeyUsageException', `Algorithm ${algorithm} is incompatible with key spec ${key.spec}.`)
}
