import { structure } from '../../base/schema.ts'
import { changeInStep } from '../../keyring/related-keys.ts'
import { keyArn } from '../../model/arn.ts'
import { KmsError } from '../../model/errors.ts'
import { type KmsKey, requireState } from '../../model/key.ts'
import { requirePrimary } from '../../model/multi-region.ts'
import { defineOperation } from '../operation.ts'
import { keyId, keyNotFound, regionName } from '../shapes.ts'

/**
 * UpdatePrimaryRegion makes a replica the primary, and the primary a replica. All of them learn of it in one transaction, so
 * none is ever seen in state `Updating`.
 */
export const UpdatePrimaryRegion = defineOperation({
  name: 'UpdatePrimaryRegion',
  input: structure({ KeyId: keyId, PrimaryRegion: regionName }),
  readOnly: false,
  async access(access, request, { KeyId, PrimaryRegion: region }) {
    const need = { action: 'kms:UpdatePrimaryRegion', facts: { keys: { 'kms:PrimaryRegion': region } } }
    const key = await access.key(request, 'UpdatePrimaryRegion', KeyId, need)
    requireAnother(key, region)
    const arn = keyArn(region, key.account, key.id)
    const replica = await access.key({ ...request, region }, 'UpdatePrimaryRegion', arn, need)
    for (const each of [key, replica]) requireState(each, ['Enabled'])
    return { key, replica }
  },

  async run({ key, replica }, { store }) {
    await store.transaction(async tx => {
      const primary = await tx.findKey(key, key.id)
      const next = await tx.findKey(replica, key.id)
      if (primary === undefined) throw keyNotFound(key.arn)
      if (next === undefined) throw keyNotFound(replica.arn)
      requirePrimary(primary)
      for (const each of [primary, next]) requireState(each, ['Enabled'])
      const change = { primaryRegion: next.region }
      const changed = { ...primary, ...change, generation: primary.generation + 1 }
      await tx.updateKey(changed)
      await changeInStep(tx, changed, change)
    })
    return undefined
  },
})

function requireAnother(key: KmsKey, region: string): void {
  requirePrimary(key)
  if (region !== key.region) return
  throw new KmsError('UnsupportedOperationException', `${key.arn} is the primary key in ${region} already.`)
}
