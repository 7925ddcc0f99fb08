import { boolean, oneOf, optional, structure, text } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { isImportable } from '../../model/imports.ts'
import { arnOf, KEY_ORIGINS, type KmsKey } from '../../model/key.ts'
import { kidOf, newKeyId } from '../../model/key-id.ts'
import { KEY_SPECS, KEY_USAGES, LEGACY_KEY_SPECS } from '../../model/key-specs.ts'
import { defineOperation } from '../operation.ts'
import { description, tags } from '../shapes.ts'
import { requireTags } from '../tags/tag-rules.ts'
import { keyMetadata } from './key-metadata.ts'
import { keyPolicyOf } from './key-policy-input.ts'
import { keySpecOf } from './key-spec-input.ts'

/** Tab, line feed, carriage return and Latin-1, as AWS's model has it. */
const POLICY_CHARACTERS = /^[\u0009\u000A\u000D\u0020-\u00FF]+$/

/**
 * CreateKey generates an HBK in a token and records it as a KMS key. The EKT comes first, then one transaction, then the
 * answer: a crash before the transaction leaves nothing but an HBK that nobody knows (security.md 4.2). A key of origin
 * EXTERNAL has no HBK until material is imported.
 */
export const CreateKey = defineOperation({
  name: 'CreateKey',
  input: structure({
    Policy: optional(text({ min: 1, max: 131_072, pattern: POLICY_CHARACTERS })),
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
  }),
  readOnly: false,
  async access(access, request, { Tags }) {
    access.account(request, 'kms:CreateKey')
    if ((Tags?.length ?? 0) > 0) access.account(request, 'kms:TagResource')
    return {}
  },

  async run({ caller, region, input, keyring, store, clock }) {
    const { account } = caller
    const { spec, usage } = keySpecOf(input)
    const { Origin: origin = 'AWS_KMS' } = input
    const unsupported =
      (origin !== 'AWS_KMS' && origin !== 'EXTERNAL' && `Origin ${origin}`) ||
      (origin === 'EXTERNAL' && !isImportable(spec) && `Origin EXTERNAL for KeySpec ${spec}`) ||
      (input.CustomKeyStoreId !== undefined && 'CustomKeyStoreId') ||
      (input.XksKeyId !== undefined && 'XksKeyId') ||
      (input.MultiRegion === true && 'MultiRegion')
    if (unsupported) throw new KmsError('UnsupportedOperationException', `${unsupported} is not supported yet.`)
    const tagList = requireTags(input.Tags ?? [])
    const policy = keyPolicyOf(account, input.Policy)
    const id = newKeyId()
    const kid = kidOf(id)
    const now = clock()
    const request = { account, kid, keySpec: spec, keyUsage: usage }
    const current = origin === 'EXTERNAL' ? undefined : await keyring.createMaterial(region, request, now)
    const key: KmsKey = {
      region,
      account,
      id,
      arn: arnOf({ region, account, id }),
      kid,
      spec,
      usage,
      origin,
      state: current === undefined ? 'PendingImport' : 'Enabled',
      description: input.Description ?? '',
      policy,
      createdAtMs: now,
      deletionAtMs: undefined,
      generation: 1,
      materials: new Map(current && [[current.id, current]]),
      current,
    }
    await store.transaction(async tx => {
      await tx.insertKey(key)
      await tx.putTags(key, tagList)
    })
    return { KeyMetadata: keyMetadata(key) }
  },
})
