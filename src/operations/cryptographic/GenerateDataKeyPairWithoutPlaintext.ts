import { structure } from '../../base/schema.ts'
import { EMPTY_CONTEXT } from '../../model/encryption-context.ts'
import { defineOperation } from '../operation.ts'
import { checkDataKeyPairInput, dataKeyPairInput, generatesDataKeyPairs } from './data-key-pair.ts'

const ACTION = 'kms:GenerateDataKeyPairWithoutPlaintext'

/** The same as GenerateDataKeyPair, for who needs the private key later: in plaintext it never leaves the HSM host. */
export const GenerateDataKeyPairWithoutPlaintext = defineOperation({
  name: 'GenerateDataKeyPairWithoutPlaintext',
  input: structure(dataKeyPairInput),
  readOnly: true,
  check: checkDataKeyPairInput,
  access: (access, request, input) =>
    access.key(request, 'GenerateDataKeyPairWithoutPlaintext', input.KeyId, generatesDataKeyPairs(ACTION, input)),
  uses: key => [key],

  async run(key, { keyring }, input) {
    const context = input.EncryptionContext ?? EMPTY_CONTEXT
    const { blob, publicKey } = await keyring.generateDataKeyPair(key, input.KeyPairSpec, context, false)
    return {
      PrivateKeyCiphertextBlob: blob,
      PublicKey: publicKey,
      KeyId: key.arn,
      KeyPairSpec: input.KeyPairSpec,
      KeyMaterialId: key.current?.id,
    }
  },
})
