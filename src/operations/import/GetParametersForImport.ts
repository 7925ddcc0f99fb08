import { oneOf, structure } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { WRAPPING_ALGORITHMS, WRAPPING_KEY_SPECS, wrappingFacts, wrappingMisfit } from '../../model/imports.ts'
import { LIVE_STATES, requireState } from '../../model/key.ts'
import { epochSeconds } from '../keys/key-metadata.ts'
import { defineOperation } from '../operation.ts'
import { requireOrigin } from '../origin.ts'
import { invalid, keyId } from '../shapes.ts'

/** GetParametersForImport has a token make a key to wrap material under, and a token that binds it to the KMS key. */
export const GetParametersForImport = defineOperation({
  name: 'GetParametersForImport',
  input: structure({
    KeyId: keyId,
    WrappingAlgorithm: oneOf(WRAPPING_ALGORITHMS),
    WrappingKeySpec: oneOf(WRAPPING_KEY_SPECS),
  }),
  readOnly: false,
  access: (access, request, { KeyId, WrappingAlgorithm, WrappingKeySpec }) =>
    access.key(request, 'GetParametersForImport', KeyId, {
      action: 'kms:GetParametersForImport',
      facts: { keys: { 'kms:WrappingAlgorithm': WrappingAlgorithm, 'kms:WrappingKeySpec': WrappingKeySpec } },
    }),

  async run(key, { imports }, input) {
    requireOrigin(key, 'EXTERNAL')
    requireState(key, LIVE_STATES)
    const { WrappingAlgorithm, WrappingKeySpec } = input
    const misfit = wrappingMisfit(key.spec, WrappingAlgorithm, WrappingKeySpec)
    if (misfit !== undefined) {
      const known = wrappingFacts(WrappingAlgorithm) !== undefined && WrappingKeySpec !== 'SM2'
      if (known) invalid(misfit)
      throw new KmsError('UnsupportedOperationException', misfit)
    }
    const { token, publicKey, validToMs } = await imports.parametersFor(key, WrappingAlgorithm, WrappingKeySpec)
    return { KeyId: key.arn, ImportToken: token, PublicKey: publicKey, ParametersValidTo: epochSeconds(validToMs) }
  },
})
