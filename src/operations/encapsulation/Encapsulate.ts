import { structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { encapsulates, encapsulationInput } from './encapsulation-input.ts'

/** Encapsulate draws a secret and returns it twice: as it is, and for the holder of an ML-KEM key (FIPS 203 section 7.2). */
export const Encapsulate = defineOperation({
  name: 'Encapsulate',
  input: structure(encapsulationInput),
  readOnly: true,
  access: async (access, request, input) => ({
    key: await access.key(request, 'Encapsulate', input.KeyId, encapsulates('kms:Encapsulate', input)),
  }),
  uses: ({ key }) => [key],

  async run({ key, input, keyring }) {
    const { secret, ciphertext } = await keyring.pairs.encapsulate(key)
    return {
      KeyId: key.arn,
      SharedSecret: secret,
      SharedSecretCiphertextBlob: ciphertext,
      EncapsulationAlgorithm: input.EncapsulationAlgorithm,
    }
  },
})
