import { structure } from '../../base/schema.ts'
import { EMPTY_CONTEXT } from '../../model/encryption-context.ts'
import { defineOperation } from '../operation.ts'
import { checkDataKeyInput, dataKeyInput, dataKeyLengthBytes, generatesDataKeys } from './data-key.ts'

/** GenerateDataKeyWithoutPlaintext returns a fresh data key encrypted only: its plaintext never leaves the HSM host. */
export const GenerateDataKeyWithoutPlaintext = defineOperation({
  name: 'GenerateDataKeyWithoutPlaintext',
  input: structure(dataKeyInput),
  readOnly: true,
  check: checkDataKeyInput,
  access: (access, request, input) =>
    access.key(
      request,
      'GenerateDataKeyWithoutPlaintext',
      input.KeyId,
      generatesDataKeys('kms:GenerateDataKeyWithoutPlaintext', input),
    ),
  uses: key => [key],

  async run(key, { keyring }, input) {
    const context = input.EncryptionContext ?? EMPTY_CONTEXT
    const { blob } = await keyring.generateDataKey(key, dataKeyLengthBytes(input), context, false)
    return { CiphertextBlob: blob, KeyId: key.arn, KeyMaterialId: key.current?.id }
  },
})
