import { structure } from '../../base/schema.ts'
import { LIVE_STATES } from '../../model/key.ts'
import { defineOperation } from '../operation.ts'
import { aliasName, keyId } from '../shapes.ts'
import { requireAliasName, requireNoAlias, requireRoomForAlias, requireSameKind } from './alias-rules.ts'

/** UpdateAlias points an alias to another key of the same kind. The old key may be in any state, the new one must not be pending deletion. */
export const UpdateAlias = defineOperation({
  name: 'UpdateAlias',
  input: structure({ AliasName: aliasName, TargetKeyId: keyId }),
  readOnly: false,
  check({ AliasName, TargetKeyId }) {
    requireAliasName(AliasName)
    requireNoAlias(TargetKeyId)
  },
  async access(access, request, { AliasName, TargetKeyId }) {
    const alias = await access.alias(request, 'kms:UpdateAlias', AliasName)
    const old = await access.key(request, 'UpdateAlias', alias.keyId, { action: 'kms:UpdateAlias' })
    const next = await access.key(request, 'UpdateAlias', TargetKeyId, {
      action: 'kms:UpdateAlias',
      states: LIVE_STATES,
    })
    return { alias, old, next }
  },

  async run({ alias, old, next }, { store, quotas, clock }) {
    requireSameKind(old, next)
    await store.transaction(async tx => {
      if (next.id !== old.id) requireRoomForAlias(next, await tx.countAliases(next, next.id), quotas)
      await tx.updateAlias(alias, { keyId: next.id, updatedAtMs: clock() })
    })
    return undefined
  },
})
