import { optional, structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { dryRun, grantId, grantToken, invalid, keyId } from '../shapes.ts'
import { grantNotFound, requireGrant, retiredGrantFacts } from './grant-rules.ts'

/** RetireGrant gives a grant back: the retiring principal does, or a grantee that may. The grant itself says who. */
export const RetireGrant = defineOperation({
  name: 'RetireGrant',
  input: structure({
    GrantToken: optional(grantToken),
    KeyId: optional(keyId),
    GrantId: optional(grantId),
    DryRun: dryRun,
  }),
  readOnly: false,
  check({ GrantToken, KeyId, GrantId }) {
    const named = KeyId !== undefined && GrantId !== undefined
    const half = (KeyId === undefined) !== (GrantId === undefined)
    if (half || named === (GrantToken !== undefined)) {
      invalid('You must specify either a GrantToken, or both a KeyId and a GrantId.')
    }
  },
  access: async (access, request, { GrantToken, KeyId = '', GrantId = '' }) => ({
    retired: await access.grant(
      request,
      'kms:RetireGrant',
      GrantToken === undefined ? { keyId: KeyId, grantOf: key => requireGrant(key, GrantId) } : { token: GrantToken },
      retiredGrantFacts,
    ),
  }),

  async run({ retired }, { store }, input) {
    const { grant } = retired
    await store.transaction(async tx => {
      if ((await tx.findGrant(grant.id)) === undefined) throw grantNotFound(grant.id)
      if (input.DryRun !== true) await tx.deleteGrant(retired)
    })
    return undefined
  },
})
