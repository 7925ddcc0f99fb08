import type { KeyFacts, RequestFacts } from '../../access/request-context.ts'
import { boolean, type Infer, optional, structure } from '../../base/schema.ts'
import { replicatedMaterials } from '../../keyring/related-keys.ts'
import { KmsError } from '../../model/errors.ts'
import { arnOf, defaultKeyPolicy, isComplete, type KmsKey, requireState } from '../../model/key.ts'
import { requirePrimary } from '../../model/multi-region.ts'
import { keyMetadata } from '../keys/key-metadata.ts'
import { requireRoomForKey } from '../keys/key-quota.ts'
import { defineOperation } from '../operation.ts'
import { bypassFacts, requireKeyPolicy, requireNoLockout } from '../policies/key-policy-rules.ts'
import { description, keyId, keyNotFound, policy, regionName, tags } from '../shapes.ts'
import { requireTags, tagFacts } from '../tags/tag-rules.ts'

const input = structure({
  KeyId: keyId,
  ReplicaRegion: regionName,
  Policy: optional(policy),
  BypassPolicyLockoutSafetyCheck: optional(boolean()),
  Description: optional(description),
  Tags: optional(tags),
})

/**
 * ReplicateKey copies the records of a multi-Region key's material to another region, whose tokens open them as they are: no
 * key leaves a token. The replica has a policy, tags and a description of its own. The copy is one transaction, so `Creating`,
 * which the answer names as AWS does, has passed when the caller asks again.
 */
export const ReplicateKey = defineOperation({
  name: 'ReplicateKey',
  input,
  readOnly: false,
  async access(access, request, input) {
    const { requestTags, keys } = tagFacts(input.Tags ?? [])
    const bypass = bypassFacts(input.BypassPolicyLockoutSafetyCheck).keys
    const key = await access.key(request, 'ReplicateKey', input.KeyId, {
      action: 'kms:ReplicateKey',
      facts: { requestTags, keys: { ...keys, ...bypass, 'kms:ReplicaRegion': input.ReplicaRegion } },
    })
    const there = { ...request, region: input.ReplicaRegion }
    const facts = factsOfReplica(key, input)
    access.account(there, 'kms:CreateKey', facts)
    if ((input.Tags?.length ?? 0) > 0) access.account(there, 'kms:TagResource', facts)
    requireState(key, ['Enabled'])
    return { key }
  },

  async run({ key }, { keyring, store, clock, access, quotas }, input, asker) {
    const { ReplicaRegion: region } = input
    requirePrimary(key)
    const { account, id, spec, usage, origin, primaryRegion } = key
    keyring.requireMultiRegion(region, spec)
    const tagList = requireTags(input.Tags ?? [], quotas)
    const arn = arnOf({ region, account, id })
    const facts: KeyFacts = { arn, region, account, id, spec, usage, origin, primaryRegion, tags: tagList, aliases: [] }
    const checked = input.Policy === undefined ? undefined : await requireKeyPolicy(store.reader, input.Policy, quotas)
    const there = { ...asker, region }
    if (checked) requireNoLockout(access, there, facts, checked, input.BypassPolicyLockoutSafetyCheck)
    const now = clock()
    const { replica, regions } = await store.transaction(async tx => {
      const primary = await tx.findKey(key, id)
      if (primary === undefined) throw keyNotFound(key.arn)
      requirePrimary(primary)
      requireState(primary, ['Enabled'])
      const regions = await tx.listRegionsOfKey(account, id)
      if (regions.includes(region)) throw new KmsError('AlreadyExistsException', `${arn} already exists.`)
      requireRoomForKey({ region, account }, await tx.countKeys({ region, account }), quotas)
      const materials = new Map(replicatedMaterials(primary).map(material => [material.id, material]))
      const current = primary.current && materials.get(primary.current.id)
      const replica: KmsKey = {
        ...facts,
        kid: primary.kid,
        state: isComplete({ materials, current }) ? 'Enabled' : 'PendingImport',
        description: input.Description ?? '',
        policy: input.Policy ?? defaultKeyPolicy(account),
        policyPrincipals: checked?.principals ?? new Map(),
        createdAtMs: now,
        deletionAtMs: undefined,
        rotation: primary.rotation,
        generation: 1,
        materials,
        current,
        grants: [],
      }
      await tx.insertKey(replica)
      await tx.putTags(replica, tagList)
      return { replica, regions: [...regions, region].sort() }
    })
    return {
      ReplicaKeyMetadata: { ...keyMetadata(replica, regions), KeyState: 'Creating', Enabled: false },
      ReplicaPolicy: replica.policy,
      ReplicaTags: tagList.map(({ key, value }) => ({ TagKey: key, TagValue: value })),
    }
  },
})

/** What conditions may ask of the replica that is to be made. */
function factsOfReplica({ spec, usage, origin }: KmsKey, asked: Infer<typeof input>): RequestFacts {
  const { requestTags, keys } = tagFacts(asked.Tags ?? [])
  return {
    requestTags,
    keys: {
      ...keys,
      ...bypassFacts(asked.BypassPolicyLockoutSafetyCheck).keys,
      'kms:CustomerMasterKeySpec': spec,
      'kms:CustomerMasterKeyUsage': usage,
      'kms:KeyOrigin': origin,
      'kms:KeySpec': spec,
      'kms:KeyUsage': usage,
      'kms:MultiRegion': true,
      'kms:MultiRegionKeyType': 'REPLICA',
      'kms:ReplicaRegion': asked.ReplicaRegion,
    },
  }
}
