import type { KeyFacts, RequestFacts } from '../../access/request-context.ts'
import { boolean, type Infer, oneOf, optional, structure, text } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { isImportable } from '../../model/imports.ts'
import { arnOf, defaultKeyPolicy, KEY_ORIGINS, type KeyMaterial, type KmsKey } from '../../model/key.ts'
import { kidOf, newKeyId, newMultiRegionKeyId } from '../../model/key-id.ts'
import { KEY_SPECS, KEY_USAGES, LEGACY_KEY_SPECS } from '../../model/key-specs.ts'
import { VersionSwept } from '../../store/faults.ts'
import { defineOperation } from '../operation.ts'
import { bypassFacts, requireKeyPolicy, requireNoLockout } from '../policies/key-policy-rules.ts'
import { description, policy, tags } from '../shapes.ts'
import { requireTags, tagFacts } from '../tags/tag-rules.ts'
import { keyMetadata } from './key-metadata.ts'
import { requireRoomForKey } from './key-quota.ts'
import { keySpecOf } from './key-spec-input.ts'

const input = structure({
  Policy: optional(policy),
  Description: optional(description),
  KeyUsage: optional(oneOf(KEY_USAGES)),
  CustomerMasterKeySpec: optional(oneOf(LEGACY_KEY_SPECS)),
  KeySpec: optional(oneOf(KEY_SPECS)),
  Origin: optional(oneOf(KEY_ORIGINS)),
  CustomKeyStoreId: optional(text({ min: 1, max: 64 })),
  XksKeyId: optional(text({ min: 1, max: 128, pattern: /^[a-zA-Z0-9-_.]+$/ })),
  BypassPolicyLockoutSafetyCheck: optional(boolean()),
  Tags: optional(tags),
  MultiRegion: optional(boolean()),
})

const ATTEMPTS_MAX = 2

/**
 * CreateKey generates an HBK in a token and records it as a KMS key. The EKT comes first, then one transaction, then the
 * answer: a crash before the transaction leaves nothing but an HBK that nobody knows (security.md 4.2). A key of origin
 * EXTERNAL has no HBK until material is imported.
 */
export const CreateKey = defineOperation({
  name: 'CreateKey',
  input,
  readOnly: false,
  async access(access, request, input) {
    const facts = factsOf(input)
    access.account(request, 'kms:CreateKey', facts)
    if ((input.Tags?.length ?? 0) > 0) access.account(request, 'kms:TagResource', facts)
    return {}
  },

  async run(_targets, { keyring, imports, store, quotas, clock, access }, input, asker) {
    const { region } = asker
    const { account } = asker.caller
    const { spec, usage } = keySpecOf(input)
    const { Origin: origin = 'AWS_KMS' } = input
    keyring.requireSpec(region, spec)
    const unsupported =
      (origin !== 'AWS_KMS' && origin !== 'EXTERNAL' && `Origin ${origin}`) ||
      (origin === 'EXTERNAL' && !isImportable(spec) && `Origin EXTERNAL for KeySpec ${spec}`) ||
      (input.CustomKeyStoreId !== undefined && 'CustomKeyStoreId') ||
      (input.XksKeyId !== undefined && 'XksKeyId')
    if (unsupported) throw new KmsError('UnsupportedOperationException', `${unsupported} is not supported yet.`)
    if (origin === 'EXTERNAL') imports.requireImportable(region, spec)
    const tagList = requireTags(input.Tags ?? [], quotas)
    const primaryRegion = input.MultiRegion === true ? region : undefined
    if (primaryRegion !== undefined) keyring.requireMultiRegion(region, spec)
    const id = primaryRegion === undefined ? newKeyId() : newMultiRegionKeyId()
    const kid = kidOf(id)
    const arn = arnOf({ region, account, id })
    const facts: KeyFacts = { arn, region, account, id, spec, usage, origin, primaryRegion, tags: tagList, aliases: [] }
    const checked = input.Policy === undefined ? undefined : await requireKeyPolicy(store.reader, input.Policy, quotas)
    if (checked) requireNoLockout(access, asker, facts, checked, input.BypassPolicyLockoutSafetyCheck)
    const now = clock()
    const makeKey = (current: KeyMaterial | undefined): KmsKey => ({
      ...facts,
      kid,
      state: current === undefined ? 'PendingImport' : 'Enabled',
      description: input.Description ?? '',
      policy: input.Policy ?? defaultKeyPolicy(account),
      policyPrincipals: checked?.principals ?? new Map(),
      createdAtMs: now,
      deletionAtMs: undefined,
      generation: 1,
      materials: new Map(current && [[current.id, current]]),
      current,
      grants: [],
    })
    const request = { account, kid, keySpec: spec, keyUsage: usage }
    // Where there is no room, no token works, nor keeps an object that no key will have.
    requireRoomForKey(facts, await store.reader.countKeys(facts), quotas)
    for (let attempt = 1; ; attempt += 1) {
      const material = origin === 'EXTERNAL' ? undefined : await keyring.createMaterial(region, request, now)
      const key = makeKey(material)
      try {
        await store.transaction(async tx => {
          requireRoomForKey(key, await tx.countKeys(key), quotas)
          await tx.insertKey(key)
          await tx.putTags(key, tagList)
        })
        return { KeyMetadata: keyMetadata(key, [region]) }
      } catch (error) {
        // The domain was rotated between the two: the next EKT is under its new version.
        if (!(error instanceof VersionSwept) || attempt === ATTEMPTS_MAX) throw error
      }
    }
  },
})

/** What conditions may ask of a key that is to be made. */
function factsOf({ KeySpec, CustomerMasterKeySpec, KeyUsage, ...more }: Infer<typeof input>): RequestFacts {
  const spec = KeySpec ?? CustomerMasterKeySpec ?? 'SYMMETRIC_DEFAULT'
  const usage = KeyUsage ?? (spec === 'SYMMETRIC_DEFAULT' ? 'ENCRYPT_DECRYPT' : undefined)
  const { requestTags, keys } = tagFacts(more.Tags ?? [])
  return {
    requestTags,
    keys: {
      ...keys,
      ...bypassFacts(more.BypassPolicyLockoutSafetyCheck).keys,
      'kms:CustomerMasterKeySpec': spec,
      'kms:CustomerMasterKeyUsage': usage,
      'kms:KeyOrigin': more.Origin ?? 'AWS_KMS',
      'kms:KeySpec': spec,
      'kms:KeyUsage': usage,
      'kms:MultiRegion': more.MultiRegion ?? false,
      'kms:MultiRegionKeyType': more.MultiRegion === true ? 'PRIMARY' : undefined,
    },
  }
}
