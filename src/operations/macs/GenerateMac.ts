import { structure } from '../../base/schema.ts'
import { requireAlgorithm } from '../algorithm.ts'
import { defineOperation } from '../operation.ts'
import { macInput, makesMacs } from './mac-input.ts'

/** GenerateMac computes an HMAC (RFC 2104, FIPS 198-1) in the token. */
export const GenerateMac = defineOperation({
  name: 'GenerateMac',
  input: structure(macInput),
  readOnly: true,
  access: (access, request, input) =>
    access.key(request, 'GenerateMac', input.KeyId, makesMacs('kms:GenerateMac', input)),
  uses: key => [key],

  async run(key, { keyring }, input) {
    requireAlgorithm(key, input.MacAlgorithm)
    return { Mac: await keyring.generateMac(key, input.Message), MacAlgorithm: input.MacAlgorithm, KeyId: key.arn }
  },
})
