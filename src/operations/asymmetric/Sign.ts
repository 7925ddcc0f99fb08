import { structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { signingInput, signs, toSign } from './signing-input.ts'

/** Sign makes a signature with a private key that never leaves its token. A message is hashed here, a digest taken as it is. */
export const Sign = defineOperation({
  name: 'Sign',
  input: structure(signingInput),
  readOnly: true,
  access: (access, request, input) => access.key(request, 'Sign', input.KeyId, signs('kms:Sign', input)),
  uses: key => [key],

  async run(key, { keyring }, input) {
    const signature = await keyring.pairs.sign(key, toSign(key, input))
    return { KeyId: key.arn, Signature: signature, SigningAlgorithm: input.SigningAlgorithm }
  },
})
