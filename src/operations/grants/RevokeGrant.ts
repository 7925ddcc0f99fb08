import { structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { dryRun, grantId, keyId } from '../shapes.ts'
import { grantNotFound, requireGrant, serviceFacts } from './grant-rules.ts'

/** RevokeGrant takes back what a key's owner has lent. It acts at once. */
export const RevokeGrant = defineOperation({
  name: 'RevokeGrant',
  input: structure({ KeyId: keyId, GrantId: grantId, DryRun: dryRun }),
  readOnly: false,
  access: (access, request, { KeyId }) =>
    access.key(request, 'RevokeGrant', KeyId, {
      action: 'kms:RevokeGrant',
      facts: { keys: serviceFacts(request.caller) },
    }),

  async run(key, { store }, input) {
    const grant = requireGrant(key, input.GrantId)
    await store.transaction(async tx => {
      if ((await tx.findGrant(grant.id)) === undefined) throw grantNotFound(grant.id)
      const { region, account, id } = key
      if (input.DryRun !== true) await tx.deleteGrant({ region, account, keyId: id, grant })
    })
    return undefined
  },
})
