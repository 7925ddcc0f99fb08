import { boolean, oneOf, optional, structure, text } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { arnOf, KEY_ORIGINS, type KeyMaterial, type KmsKey } from '../../model/key.ts'
import { kidOf, newKeyId } from '../../model/key-id.ts'
import { KEY_SPECS, KEY_USAGES, LEGACY_KEY_SPECS } from '../../model/key-specs.ts'
import { VersionSwept } from '../../store/faults.ts'
import { defineOperation } from '../operation.ts'
import { description, tags } from '../shapes.ts'
import { requireTags } from '../tags/tag-rules.ts'
import { keyMetadata } from './key-metadata.ts'
import { keyPolicyOf } from './key-policy-input.ts'
import { keySpecOf } from './key-spec-input.ts'

/** Tab, line feed, carriage return and Latin-1, as AWS's model has it. */
const POLICY_CHARACTERS = /^[\u0009\u000A\u000D\u0020-\u00FF]+$/

const ATTEMPTS_MAX = 2

/**
 * CreateKey generates an HBK in a token and records it as a KMS key. The EKT comes first, then one transaction, then the
 * answer: a crash before the transaction leaves nothing but an HBK that nobody knows (security.md 4.2).
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
    const unsupported =
      (input.Origin !== undefined && input.Origin !== 'AWS_KMS' && `Origin ${input.Origin}`) ||
      (input.CustomKeyStoreId !== undefined && 'CustomKeyStoreId') ||
      (input.XksKeyId !== undefined && 'XksKeyId') ||
      (input.MultiRegion === true && 'MultiRegion')
    if (unsupported) throw new KmsError('UnsupportedOperationException', `${unsupported} is not supported yet.`)
    const tagList = requireTags(input.Tags ?? [])
    const policy = keyPolicyOf(account, input.Policy)
    const id = newKeyId()
    const kid = kidOf(id)
    const now = clock()
    const makeKey = (current: KeyMaterial): KmsKey => ({
      region,
      account,
      id,
      arn: arnOf({ region, account, id }),
      kid,
      spec,
      usage,
      origin: 'AWS_KMS',
      state: 'Enabled',
      description: input.Description ?? '',
      policy,
      createdAtMs: now,
      deletionAtMs: undefined,
      generation: 1,
      materials: new Map([[current.id, current]]),
      current,
    })
    const request = { account, kid, keySpec: spec, keyUsage: usage }
    for (let attempt = 1; ; attempt += 1) {
      const key = makeKey(await keyring.createMaterial(region, request, now))
      try {
        await store.transaction(async tx => {
          await tx.insertKey(key)
          await tx.putTags(key, tagList)
        })
        return { KeyMetadata: keyMetadata(key) }
      } catch (error) {
        // The domain was rotated between the two: the next EKT is under its new version.
        if (!(error instanceof VersionSwept) || attempt === ATTEMPTS_MAX) throw error
      }
    }
  },
})
