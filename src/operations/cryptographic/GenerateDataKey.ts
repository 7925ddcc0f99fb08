import { structure } from '../../base/schema.ts'
import { EMPTY_CONTEXT } from '../../model/encryption-context.ts'
import { defineOperation } from '../operation.ts'
import { recipient } from '../shapes.ts'
import { checkDataKeyInput, dataKeyInput, dataKeyLengthBytes, generatesDataKeys } from './data-key.ts'

/**
 * GenerateDataKey returns a fresh data key twice: in plaintext, and encrypted under a KMS key. The token draws the key;
 * the host wipes its copy once sent, and the road wipes the service's.
 */
export const GenerateDataKey = defineOperation({
  name: 'GenerateDataKey',
  input: structure({ ...dataKeyInput, Recipient: recipient }),
  readOnly: true,
  check: checkDataKeyInput,
  access: (access, request, input) =>
    access.key(request, 'GenerateDataKey', input.KeyId, generatesDataKeys('kms:GenerateDataKey', input)),
  uses: key => [key],

  async run(key, { keyring }, input) {
    const context = input.EncryptionContext ?? EMPTY_CONTEXT
    const { blob, plaintext } = await keyring.generateDataKey(key, dataKeyLengthBytes(input), context, true)
    return { CiphertextBlob: blob, Plaintext: plaintext, KeyId: key.arn, KeyMaterialId: key.current?.id }
  },
})
