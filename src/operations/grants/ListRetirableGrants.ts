import { optional, structure } from '../../base/schema.ts'
import { accountOfArn, keyArn } from '../../model/arn.ts'
import { defineOperation } from '../operation.ts'
import { pageOf, paginate } from '../pagination.ts'
import { invalid, limit, marker, principalId } from '../shapes.ts'
import { describeGrant, principalArn } from './grant-rules.ts'

/** ListRetirableGrants tells what a principal of the caller's account may retire, on keys of whatever account. */
export const ListRetirableGrants = defineOperation({
  name: 'ListRetirableGrants',
  input: structure({
    RetiringPrincipal: optional(principalId),
    RetiringServicePrincipal: optional(principalId),
    Limit: limit,
    Marker: marker,
  }),
  readOnly: true,
  check({ RetiringPrincipal, RetiringServicePrincipal }) {
    if ((RetiringPrincipal === undefined) === (RetiringServicePrincipal === undefined)) {
      invalid('You must specify either RetiringPrincipal or RetiringServicePrincipal.')
    }
  },
  async access(access, request, { RetiringPrincipal, RetiringServicePrincipal }) {
    const { caller } = request
    access.account(request, 'kms:ListRetirableGrants')
    if (RetiringServicePrincipal !== undefined && RetiringServicePrincipal !== caller.arn) {
      invalid('RetiringServicePrincipal must be the service that asks.')
    }
    const retiring = principalArn(RetiringPrincipal ?? RetiringServicePrincipal ?? '')
    if (RetiringPrincipal !== undefined && accountOfArn(retiring) !== caller.account) {
      invalid('RetiringPrincipal must be a principal in your account.')
    }
    return { retiring }
  },

  async run({ retiring }, { store }, input, { region }) {
    const list = `retirable-grants/${region}/${retiring}`
    const page = pageOf(list, input, { default: 50, max: 100 })
    const { items, next } = await paginate(
      list,
      page,
      asked => store.reader.listGrantsToRetire(region, retiring, asked),
      ({ grant }) => grant.id,
    )
    const Grants = items.map(({ account, keyId, grant }) => describeGrant(keyArn(region, account, keyId), grant))
    return { Grants, ...next }
  },
})
