import { structure } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { LIVE_STATES } from '../../model/key.ts'
import { AlreadyStored } from '../../store/faults.ts'
import { defineOperation } from '../operation.ts'
import { aliasName, keyId } from '../shapes.ts'
import { requireNewAliasName, requireNoAlias, requireRoomForAlias } from './alias-rules.ts'

/** CreateAlias gives a key another name. */
export const CreateAlias = defineOperation({
  name: 'CreateAlias',
  input: structure({ AliasName: aliasName, TargetKeyId: keyId }),
  readOnly: false,
  check({ AliasName, TargetKeyId }) {
    requireNewAliasName(AliasName)
    requireNoAlias(TargetKeyId)
  },
  async access(access, request, { AliasName, TargetKeyId }) {
    const aliasArn = access.aliasAction(request, 'kms:CreateAlias', AliasName)
    const key = await access.key(request, 'CreateAlias', TargetKeyId, {
      action: 'kms:CreateAlias',
      states: LIVE_STATES,
    })
    return { key, aliasArn }
  },

  async run({ key, aliasArn }, { store, quotas, clock }, input) {
    const { region, account } = key
    const now = clock()
    const alias = { region, account, name: input.AliasName, keyId: key.id, createdAtMs: now, updatedAtMs: now }
    try {
      await store.transaction(async tx => {
        if ((await tx.findAlias(key, alias.name)) !== undefined) throw new AlreadyStored(alias.name)
        requireRoomForAlias(key, await tx.countAliases(key, key.id), quotas)
        await tx.insertAlias(alias)
      })
    } catch (error) {
      if (!(error instanceof AlreadyStored)) throw error
      throw new KmsError('AlreadyExistsException', `An alias with the name ${aliasArn} already exists`)
    }
    return undefined
  },
})
