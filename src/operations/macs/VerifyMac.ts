import { blob, structure } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { requireAlgorithm } from '../algorithm.ts'
import { defineOperation } from '../operation.ts'
import { macInput, makesMacs } from './mac-input.ts'

/** VerifyMac says whether a key made a MAC; one that does not verify is an error, as AWS has it. */
export const VerifyMac = defineOperation({
  name: 'VerifyMac',
  input: structure({ ...macInput, Mac: blob({ min: 1, max: 6_144 }) }),
  readOnly: true,
  access: (access, request, input) => access.key(request, 'VerifyMac', input.KeyId, makesMacs('kms:VerifyMac', input)),
  uses: key => [key],

  async run(key, { keyring }, input) {
    requireAlgorithm(key, input.MacAlgorithm)
    if (!(await keyring.verifyMac(key, input.Message, input.Mac))) throw new KmsError('KMSInvalidMacException')
    return { KeyId: key.arn, MacValid: true, MacAlgorithm: input.MacAlgorithm }
  },
})
