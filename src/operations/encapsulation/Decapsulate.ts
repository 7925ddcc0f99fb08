import { blob, structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { encapsulates, encapsulationInput } from './encapsulation-input.ts'

/**
 * Decapsulate returns the secret that Encapsulate drew, from the ciphertext, in the token. A ciphertext of the right length
 * always gives a secret: of one that was not made for the key, another (FIPS 203 section 6.3).
 */
export const Decapsulate = defineOperation({
  name: 'Decapsulate',
  input: structure({ ...encapsulationInput, SharedSecretCiphertextBlob: blob({ min: 1, max: 6_144 }) }),
  readOnly: true,
  access: (access, request, input) =>
    access.key(request, 'Decapsulate', input.KeyId, encapsulates('kms:Decapsulate', input)),
  uses: key => [key],

  async run(key, { keyring }, input) {
    return {
      KeyId: key.arn,
      SharedSecret: await keyring.pairs.decapsulate(key, input.SharedSecretCiphertextBlob),
      EncapsulationAlgorithm: input.EncapsulationAlgorithm,
    }
  },
})
