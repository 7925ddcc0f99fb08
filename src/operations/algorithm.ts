/** Whether a key does what it is asked to do by this algorithm. */
import { KmsError } from '../model/errors.ts'
import type { KmsKey } from '../model/key.ts'
import { algorithmsOf } from '../model/key-specs.ts'

export function hasAlgorithm(key: KmsKey, algorithm: string): boolean {
  return algorithmsOf(key.spec, key.usage).includes(algorithm)
}

/** Throws KmsError InvalidKeyUsageException when the algorithm is none of the key's. */
export function requireAlgorithm(key: KmsKey, algorithm: string): void {
  if (hasAlgorithm(key, algorithm)) return
  throw new KmsError('InvalidKeyUsageException', `Algorithm ${algorithm} is incompatible with key spec ${key.spec}.`)
}
