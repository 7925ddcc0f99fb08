import { blob, structure } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { defineOperation } from '../operation.ts'
import { signingInput, signs, toSign } from './signing-input.ts'

/** Verify says whether a key made a signature; one that does not verify is an error, as AWS has it. */
export const Verify = defineOperation({
  name: 'Verify',
  input: structure({ ...signingInput, Signature: blob({ min: 1, max: 6_144 }) }),
  readOnly: true,
  access: (access, request, input) => access.key(request, 'Verify', input.KeyId, signs('kms:Verify', input)),
  uses: key => [key],

  async run(key, { keyring }, input) {
    if (!(await keyring.pairs.verify(key, toSign(key, input), input.Signature))) {
      throw new KmsError('KMSInvalidSignatureException')
    }
    return { KeyId: key.arn, SignatureValid: true, SigningAlgorithm: input.SigningAlgorithm }
  },
})
