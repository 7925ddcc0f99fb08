import { structure } from '../../base/schema.ts'
import { isOaep } from '../../model/algorithms.ts'
import { EMPTY_CONTEXT } from '../../model/encryption-context.ts'
import { defineOperation } from '../operation.ts'
import { dryRun, encryptionAlgorithm, encryptionContext, grantTokens, keyId, plaintext } from '../shapes.ts'
import { encryptionAlgorithmOf, encryptionFacts, refuseContext } from './encryption-algorithm.ts'

/** Encrypt encrypts up to 4,096 bytes directly under a KMS key. */
export const Encrypt = defineOperation({
  name: 'Encrypt',
  input: structure({
    KeyId: keyId,
    Plaintext: plaintext,
    EncryptionContext: encryptionContext,
    EncryptionAlgorithm: encryptionAlgorithm,
    GrantTokens: grantTokens,
    DryRun: dryRun,
  }),
  readOnly: true,
  access: (access, request, input) =>
    access.key(request, 'Encrypt', input.KeyId, {
      action: 'kms:Encrypt',
      names: 'ids-and-aliases',
      states: ['Enabled'],
      usage: 'ENCRYPT_DECRYPT',
      facts: encryptionFacts(input.EncryptionContext, input.EncryptionAlgorithm),
      grantTokens: input.GrantTokens,
    }),
  uses: key => [key],

  async run(key, { keyring }, input) {
    const algorithm = encryptionAlgorithmOf(key, input.EncryptionAlgorithm)
    if (isOaep(algorithm)) {
      refuseContext(input.EncryptionContext)
      const blob = await keyring.pairs.encrypt(key, algorithm, input.Plaintext)
      return { CiphertextBlob: blob, KeyId: key.arn, EncryptionAlgorithm: algorithm }
    }
    const { blob } = await keyring.encrypt(key, input.Plaintext, input.EncryptionContext ?? EMPTY_CONTEXT)
    return { CiphertextBlob: blob, KeyId: key.arn, EncryptionAlgorithm: algorithm }
  },
})
