import { optional, structure } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { defineOperation } from '../operation.ts'
import { keyId, policyName } from '../shapes.ts'
import { POLICY_NAME } from './key-policy-rules.ts'

/** GetKeyPolicy returns a key's policy, as it was given. */
export const GetKeyPolicy = defineOperation({
  name: 'GetKeyPolicy',
  input: structure({ KeyId: keyId, PolicyName: optional(policyName) }),
  readOnly: true,
  access: (access, request, { KeyId }) => access.key(request, 'GetKeyPolicy', KeyId, { action: 'kms:GetKeyPolicy' }),

  async run(key, _services, { PolicyName = POLICY_NAME }) {
    if (PolicyName !== POLICY_NAME) throw new KmsError('NotFoundException', 'No such policy exists')
    return { Policy: key.policy, PolicyName }
  },
})
