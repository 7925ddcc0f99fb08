/** As what a request is counted when rates are limited: by its operation and, where a token works, by the kind of key. */
import type { RateName } from '../base/request-rates.ts'
import type { DataKeyPairSpec } from '../model/key-specs.ts'
import type { OperationName } from '../model/operations.ts'

const DATA_KEY_PAIRS: Readonly<Partial<Record<DataKeyPairSpec, RateName>>> = {
  RSA_2048: 'rsa2048DataKeyPairs',
  RSA_3072: 'rsa3072DataKeyPairs',
  RSA_4096: 'rsa4096DataKeyPairs',
  ECC_NIST_P384: 'p384DataKeyPairs',
  ECC_NIST_P521: 'p521DataKeyPairs',
}

/**
 * What the input says is enough, and costs no look at the key: an algorithm that is not the key's is refused before a token
 * is asked.
 */
export function rateNameOf(operation: OperationName, input: Readonly<Record<string, unknown>>): RateName {
  switch (operation) {
    case 'GenerateDataKey':
    case 'GenerateDataKeyWithoutPlaintext':
    case 'GenerateMac':
    case 'GenerateRandom':
    case 'VerifyMac':
      return 'symmetric'
    case 'Decrypt':
    case 'Encrypt':
      return isRsa(input.EncryptionAlgorithm) ? 'rsa' : 'symmetric'
    case 'ReEncrypt':
      return isRsa(input.SourceEncryptionAlgorithm) || isRsa(input.DestinationEncryptionAlgorithm) ? 'rsa' : 'symmetric'
    case 'Sign':
    case 'Verify':
      return isRsa(input.SigningAlgorithm) ? 'rsa' : 'ecc'
    case 'Decapsulate':
    case 'DeriveSharedSecret':
    case 'Encapsulate':
      return 'ecc'
    case 'GenerateDataKeyPair':
    case 'GenerateDataKeyPairWithoutPlaintext':
      return DATA_KEY_PAIRS[input.KeyPairSpec as DataKeyPairSpec] ?? 'eccDataKeyPairs'
    default:
      return operation
  }
}

/** RSAES_… and RSASSA_…. */
function isRsa(algorithm: unknown): boolean {
  return typeof algorithm === 'string' && algorithm.startsWith('RSA')
}
