import { blob, oneOf, structure } from '../../base/schema.ts'
import { KEY_AGREEMENT_ALGORITHMS } from '../../model/algorithms.ts'
import { defineOperation } from '../operation.ts'
import { dryRun, grantTokens, keyId, recipient, refuseUnsupported } from '../shapes.ts'

/** DeriveSharedSecret returns the x-coordinate of an elliptic-curve Diffie-Hellman agreement with somebody's public key. */
export const DeriveSharedSecret = defineOperation({
  name: 'DeriveSharedSecret',
  input: structure({
    KeyId: keyId,
    KeyAgreementAlgorithm: oneOf(KEY_AGREEMENT_ALGORITHMS),
    PublicKey: blob({ min: 1, max: 8_192 }),
    GrantTokens: grantTokens,
    Recipient: recipient,
    DryRun: dryRun,
  }),
  readOnly: true,
  check: refuseUnsupported,
  access: (access, request, { KeyId, KeyAgreementAlgorithm, GrantTokens }) =>
    access.key(request, 'DeriveSharedSecret', KeyId, {
      action: 'kms:DeriveSharedSecret',
      names: 'ids-and-aliases',
      states: ['Enabled'],
      usage: 'KEY_AGREEMENT',
      facts: { keys: { 'kms:KeyAgreementAlgorithm': KeyAgreementAlgorithm } },
      grantTokens: GrantTokens,
    }),
  uses: key => [key],

  async run(key, { keyring }, input) {
    return {
      KeyId: key.arn,
      SharedSecret: await keyring.pairs.deriveSharedSecret(key, input.PublicKey),
      KeyAgreementAlgorithm: input.KeyAgreementAlgorithm,
      KeyOrigin: key.origin,
    }
  },
})
