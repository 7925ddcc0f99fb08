import { boolean, optional, structure } from '../../base/schema.ts'
import { changeKey } from '../keys/change-key.ts'
import { defineOperation } from '../operation.ts'
import { invalid, keyId, policy, policyName } from '../shapes.ts'
import { bypassFacts, POLICY_NAME, requireKeyPolicy, requireNoLockout } from './key-policy-rules.ts'

/** PutKeyPolicy puts another key policy in the place of a key's, if its caller will be able to do so again. */
export const PutKeyPolicy = defineOperation({
  name: 'PutKeyPolicy',
  input: structure({
    KeyId: keyId,
    PolicyName: optional(policyName),
    Policy: policy,
    BypassPolicyLockoutSafetyCheck: optional(boolean()),
  }),
  readOnly: false,
  check({ PolicyName = POLICY_NAME }) {
    if (PolicyName !== POLICY_NAME) invalid(`The only valid policy name is ${POLICY_NAME}.`)
  },
  access: (access, request, { KeyId, BypassPolicyLockoutSafetyCheck: bypass }) =>
    access.key(request, 'PutKeyPolicy', KeyId, { action: 'kms:PutKeyPolicy', facts: bypassFacts(bypass) }),

  async run(key, { store, quotas, access }, input, asker) {
    const checked = await requireKeyPolicy(store.reader, input.Policy, quotas)
    requireNoLockout(access, asker, key, checked, input.BypassPolicyLockoutSafetyCheck)
    await changeKey(store, key, undefined, { policy: input.Policy, policyPrincipals: checked.principals })
    return undefined
  },
})
