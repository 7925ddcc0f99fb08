import { optional, structure } from '../../base/schema.ts'
import { materialOf } from '../../keyring/keyring.ts'
import { isOaep } from '../../model/algorithms.ts'
import { EMPTY_CONTEXT } from '../../model/encryption-context.ts'
import { defineOperation } from '../operation.ts'
import {
  ciphertext,
  dryRun,
  dryRunModifiers,
  encryptionAlgorithm,
  encryptionContext,
  grantTokens,
  keyId,
  recipient,
  refuseUnsupported,
} from '../shapes.ts'
import { checkCiphertextInput, ciphertextOf } from './ciphertext-input.ts'
import { decryptionAlgorithmOf, encryptionFacts, refuseContext } from './encryption-algorithm.ts'

const need = {
  action: 'kms:Decrypt',
  names: 'ids-and-aliases',
  states: ['Enabled'],
  usage: 'ENCRYPT_DECRYPT',
} as const

/** Decrypt opens what Encrypt or GenerateDataKey sealed. The ciphertext names its key, so KeyId is a check, not a need. */
export const Decrypt = defineOperation({
  name: 'Decrypt',
  input: structure({
    CiphertextBlob: optional(ciphertext),
    KeyId: optional(keyId),
    EncryptionContext: encryptionContext,
    EncryptionAlgorithm: encryptionAlgorithm,
    GrantTokens: grantTokens,
    Recipient: recipient,
    DryRun: dryRun,
    DryRunModifiers: dryRunModifiers,
  }),
  readOnly: true,
  check(input) {
    checkCiphertextInput(input, input.KeyId, 'keyId')
    refuseUnsupported(input)
  },
  access(access, request, input) {
    const facts = encryptionFacts(input.EncryptionContext, input.EncryptionAlgorithm)
    const needed = { ...need, facts, grantTokens: input.GrantTokens }
    const blob = ciphertextOf(input)
    if (blob === undefined) return access.key(request, 'Decrypt', input.KeyId ?? '', needed)
    return access.keyOfCiphertext(request, 'Decrypt', blob, input.KeyId, needed)
  },
  uses: key => [key],

  async run(key, { keyring }, input) {
    const blob = ciphertextOf(input)
    const algorithm = decryptionAlgorithmOf(key, input.EncryptionAlgorithm, blob)
    if (blob === undefined) return undefined
    if (isOaep(algorithm)) {
      refuseContext(input.EncryptionContext)
      const plaintext = await keyring.pairs.decrypt(key, algorithm, blob)
      return { KeyId: key.arn, Plaintext: plaintext, EncryptionAlgorithm: algorithm }
    }
    const material = materialOf(key, blob)
    const { plaintext } = await keyring.decrypt(key, material, blob, input.EncryptionContext ?? EMPTY_CONTEXT)
    return { KeyId: key.arn, Plaintext: plaintext, EncryptionAlgorithm: algorithm, KeyMaterialId: material.id }
  },
})
