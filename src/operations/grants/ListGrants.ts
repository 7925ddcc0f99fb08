import { optional, structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { pageOf, paginate } from '../pagination.ts'
import { grantId, invalid, keyId, limit, marker, principalId } from '../shapes.ts'
import { describeGrant, principalArn, requireGrantId, serviceFacts } from './grant-rules.ts'

/** ListGrants tells to whom a key is lent, and for what. */
export const ListGrants = defineOperation({
  name: 'ListGrants',
  input: structure({
    KeyId: keyId,
    GrantId: optional(grantId),
    GranteePrincipal: optional(principalId),
    GranteeServicePrincipal: optional(principalId),
    Limit: limit,
    Marker: marker,
  }),
  readOnly: true,
  check({ GranteePrincipal, GranteeServicePrincipal }) {
    if (GranteePrincipal !== undefined && GranteeServicePrincipal !== undefined) {
      invalid('You cannot specify both GranteePrincipal and GranteeServicePrincipal.')
    }
  },
  access: (access, request, { KeyId }) =>
    access.key(request, 'ListGrants', KeyId, {
      action: 'kms:ListGrants',
      facts: { keys: serviceFacts(request.caller) },
    }),

  async run(key, _services, input) {
    const { GrantId, GranteePrincipal, GranteeServicePrincipal } = input
    if (GrantId !== undefined) requireGrantId(GrantId)
    const named = GranteePrincipal ?? GranteeServicePrincipal
    const grantee = named && principalArn(named)
    const list = `grants/${key.arn}`
    const page = pageOf(list, input, { default: 50, max: 100 })
    const { items, next } = await paginate(
      list,
      page,
      async ({ after = '', limit: count }) =>
        key.grants
          .filter(({ id }) => id > after && (GrantId === undefined || id === GrantId))
          .filter(grant => grantee === undefined || grant.grantee === grantee)
          .slice(0, count),
      ({ id }) => id,
    )
    return { Grants: items.map(grant => describeGrant(key.arn, grant)), ...next }
  },
})
