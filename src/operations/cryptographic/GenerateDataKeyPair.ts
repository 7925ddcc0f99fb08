import { structure } from '../../base/schema.ts'
import { EMPTY_CONTEXT } from '../../model/encryption-context.ts'
import { defineOperation } from '../operation.ts'
import { recipient } from '../shapes.ts'
import { checkDataKeyPairInput, dataKeyPairInput, generatesDataKeyPairs } from './data-key-pair.ts'

const ACTION = 'kms:GenerateDataKeyPair'

/**
 * GenerateDataKeyPair returns a fresh key pair: the public key as SPKI, the private key as PKCS #8 (RFC 5958), twice, in
 * plaintext and encrypted under a KMS key. The token draws it.
 */
export const GenerateDataKeyPair = defineOperation({
  name: 'GenerateDataKeyPair',
  input: structure({ ...dataKeyPairInput, Recipient: recipient }),
  readOnly: true,
  check: checkDataKeyPairInput,
  access: (access, request, input) =>
    access.key(request, 'GenerateDataKeyPair', input.KeyId, generatesDataKeyPairs(ACTION, input)),
  uses: key => [key],

  async run(key, { keyring }, input) {
    const context = input.EncryptionContext ?? EMPTY_CONTEXT
    const pair = await keyring.generateDataKeyPair(key, input.KeyPairSpec, context, true)
    return {
      PrivateKeyCiphertextBlob: pair.blob,
      PrivateKeyPlaintext: pair.privateKey,
      PublicKey: pair.publicKey,
      KeyId: key.arn,
      KeyPairSpec: input.KeyPairSpec,
      KeyMaterialId: key.current?.id,
    }
  },
})
