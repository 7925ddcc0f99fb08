import { structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { pageOf, paginate } from '../pagination.ts'
import { keyId, limit, marker } from '../shapes.ts'
import { POLICY_NAME } from './key-policy-rules.ts'

/** ListKeyPolicies names the policies of a key: there is one, and it is called default. */
export const ListKeyPolicies = defineOperation({
  name: 'ListKeyPolicies',
  input: structure({ KeyId: keyId, Limit: limit, Marker: marker }),
  readOnly: true,
  access: (access, request, { KeyId }) =>
    access.key(request, 'ListKeyPolicies', KeyId, { action: 'kms:ListKeyPolicies' }),

  async run(key, _services, input) {
    const list = `policies/${key.arn}`
    const page = pageOf(list, input, { default: 100, max: 1_000 })
    const read = async ({ after }: typeof page) => [POLICY_NAME].filter(name => after === undefined || name > after)
    const { items, next } = await paginate(list, page, read, name => name)
    return { PolicyNames: items, ...next }
  },
})
