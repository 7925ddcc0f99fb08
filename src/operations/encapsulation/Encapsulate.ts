import { structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { encapsulates, encapsulationInput } from './encapsulation-input.ts'

/** Encapsulate draws a secret and returns it twice: as it is, and for the holder of an ML-KEM key (FIPS 203 section 7.2). */
export const Encapsulate = defineOperation({
  name: 'Encapsulate',
  input: structure(encapsulationInput),
  readOnly: true,
  access: (access, request, input) =>
    access.key(request, 'Encapsulate', input.KeyId, encapsulates('kms:Encapsulate', input)),
  uses: key => [key],

  async run(key, { keyring }, input) {
    const { secret, ciphertext } = await keyring.pairs.encapsulate(key)
    return {
      KeyId: key.arn,
      SharedSecret: secret,
      SharedSecretCiphertextBlob: ciphertext,
      EncapsulationAlgorithm: input.EncapsulationAlgorithm,
    }
  },
})
