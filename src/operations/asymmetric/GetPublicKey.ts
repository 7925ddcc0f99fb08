import { structure } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { ALGORITHM_MEMBER, algorithmsOf, specFacts } from '../../model/key-specs.ts'
import { defineOperation } from '../operation.ts'
import { grantTokens, keyId } from '../shapes.ts'

/** GetPublicKey returns the public half of a key pair as DER of SubjectPublicKeyInfo (RFC 5280 section 4.1). */
export const GetPublicKey = defineOperation({
  name: 'GetPublicKey',
  input: structure({ KeyId: keyId, GrantTokens: grantTokens }),
  readOnly: true,
  access: (access, request, { KeyId, GrantTokens }) =>
    access.key(request, 'GetPublicKey', KeyId, {
      action: 'kms:GetPublicKey',
      names: 'ids-and-aliases',
      states: ['Enabled'],
      grantTokens: GrantTokens,
    }),

  async run(key, { keyring }) {
    const facts = specFacts(key.spec)
    if (facts.class !== 'asymmetric') {
      throw new KmsError('UnsupportedOperationException', `${key.arn} is of KeySpec ${key.spec} and has no public key.`)
    }
    const publicKey = await keyring.pairs.publicKey(key)
    return {
      KeyId: key.arn,
      PublicKey: publicKey.export({ type: 'spki', format: 'der' }),
      CustomerMasterKeySpec: facts.legacyName ? key.spec : undefined,
      KeySpec: key.spec,
      KeyUsage: key.usage,
      [ALGORITHM_MEMBER[key.usage]]: algorithmsOf(key.spec, key.usage),
    }
  },
})
