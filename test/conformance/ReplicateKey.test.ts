import { describe, expect, test } from '@jest/globals'
import { makeUser, policyOf } from './callers.ts'
import { makeExternal, pendingImport } from './imports.ts'
import {
  accountId,
  answer,
  disabled,
  elsewhere,
  invalid,
  kms,
  MATERIAL_ID,
  makeKey,
  OTHER_REGION,
  pendingDeletion,
  refusal,
  region,
} from './kms.ts'
import { asksPrimary, configurationOf, counterpart, MULTI_REGION, makeReplicated } from './multi-region.ts'
import { obeysKeyState, takesKeyId } from './rules.ts'

const replicate = (KeyId: string | undefined) => kms.replicateKey({ KeyId, ReplicaRegion: OTHER_REGION })

describe('ReplicateKey', () => {
  takesKeyId(KeyId => replicate(KeyId), { action: 'ReplicateKey', kind: MULTI_REGION })
  obeysKeyState(({ id }) => replicate(id), { Disabled: disabled, PendingDeletion: pendingDeletion }, MULTI_REGION)

  test('makes a key with a policy, tags and description of its own', async () => {
    const key = await makeKey(kms, MULTI_REGION)
    await kms.tagResource({ KeyId: key.id, Tags: [{ TagKey: 'team', TagValue: 'day' }] })
    await kms.createAlias({ AliasName: `alias/${key.id}`, TargetKeyId: key.id })
    const Policy = policyOf({ Effect: 'Allow', Action: 'kms:*', Principal: { AWS: accountId }, Resource: '*' })
    const Tags = [{ TagKey: 'team', TagValue: 'night' }]
    const made = kms.replicateKey({
      ...{ KeyId: key.id, ReplicaRegion: OTHER_REGION, Policy, Tags },
      ...{ Description: 'the other one', BypassPolicyLockoutSafetyCheck: false },
    })
    const { arn } = counterpart(key)
    const metadata = {
      ...{ AWSAccountId: accountId, KeyId: key.id, Arn: arn, Description: 'the other one' },
      ...{ CreationDate: expect.any(Date), KeyManager: 'CUSTOMER', Origin: 'AWS_KMS', KeyUsage: 'ENCRYPT_DECRYPT' },
      ...{ CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT', KeySpec: 'SYMMETRIC_DEFAULT' },
      ...{ EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'], CurrentKeyMaterialId: MATERIAL_ID, MultiRegion: true },
      MultiRegionConfiguration: configurationOf({ id: key.id, arn }, region, [OTHER_REGION]),
    }
    expect(await answer(made)).toStrictEqual({
      ReplicaKeyMetadata: { ...metadata, Enabled: false, KeyState: 'Creating' },
      ReplicaPolicy: Policy,
      ReplicaTags: Tags,
    })
    const { KeyMetadata } = await elsewhere.describeKey({ KeyId: key.id })
    expect(KeyMetadata).toStrictEqual({ ...metadata, Enabled: true, KeyState: 'Enabled' })
    const own = await kms.describeKey({ KeyId: key.id })
    expect(own.KeyMetadata).toMatchObject({
      CurrentKeyMaterialId: KeyMetadata!.CurrentKeyMaterialId,
      MultiRegionConfiguration: configurationOf(key, region, [OTHER_REGION]),
    })
    expect((await elsewhere.listResourceTags({ KeyId: key.id })).Tags).toStrictEqual(Tags)
    expect((await elsewhere.listAliases({ KeyId: key.id })).Aliases).toStrictEqual([])
    expect((await elsewhere.getKeyPolicy({ KeyId: key.id })).Policy).toBe(Policy)
    const { Keys } = await elsewhere.listKeys({ Limit: 1_000 })
    expect(Keys).toContainEqual({ KeyId: key.id, KeyArn: arn })
  })

  test('without a policy, the replica has the default one, not that of the primary', async () => {
    const { replica } = await makeReplicated()
    expect((await elsewhere.getKeyPolicy({ KeyId: replica.id })).Policy).toContain('key-default-1')
  })

  test('a key of one region, a replica, and what is there are refused', async () => {
    const single = await makeKey()
    expect(await refusal(replicate(single.id))).toBe(
      `UnsupportedOperationException: ${single.arn} is not a multi-Region key.`,
    )
    const { primary, replica } = await makeReplicated()
    expect(await refusal(replicate(primary.id))).toBe(`AlreadyExistsException: ${replica.arn} already exists.`)
    expect(await refusal(kms.replicateKey({ KeyId: primary.id, ReplicaRegion: region }))).toBe(
      `AlreadyExistsException: ${primary.arn} already exists.`,
    )
    expect(await refusal(elsewhere.replicateKey({ KeyId: replica.id, ReplicaRegion: region }))).toBe(
      asksPrimary(replica, primary),
    )
  })

  test('a key whose material is to be imported yet is refused', async () => {
    const key = await makeExternal(MULTI_REGION)
    expect(await refusal(replicate(key.id))).toBe(pendingImport(key))
  })

  const cases: [what: string, input: object, refusal: string][] = [
    [
      'a region that is not served',
      { ReplicaRegion: 'on-prem-9' },
      'UnsupportedOperationException: Region on-prem-9 is not served here.',
    ],
    [
      'what is no region',
      { ReplicaRegion: 'mars' },
      invalid('replicaRegion', 'mars', 'satisfy regular expression pattern: ^(?:[a-z]+-){2,3}\\d+$'),
    ],
    ['no region', { ReplicaRegion: undefined }, invalid('replicaRegion', null, 'not be null')],
    [
      'a policy that lets nobody in',
      { Policy: policyOf({ Effect: 'Deny', Action: 'kms:*', Principal: '*', Resource: '*' }) },
      'MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.',
    ],
    [
      'a policy whose statement has no Resource',
      { Policy: policyOf({ Effect: 'Allow', Action: 'kms:*', Principal: { AWS: accountId } }) },
      'MalformedPolicyDocumentException: The policy is not valid: a statement has no Resource.',
    ],
    ['a tag key twice', { Tags: Array(2).fill({ TagKey: 'a', TagValue: '' }) }, 'TagException: Duplicate tag keys'],
  ]
  test.each(cases)('%s is refused', async (_, input, expected) => {
    const key = await makeKey(kms, MULTI_REGION)
    expect(await refusal(kms.replicateKey({ KeyId: key.id, ReplicaRegion: OTHER_REGION, ...input }))).toBe(expected)
  })

  test('conditions see the region of the replica, and what kind of key is copied and made', async () => {
    const replicateTo = (name: string) =>
      policyOf(
        { Effect: 'Allow', NotAction: ['kms:ReplicateKey', 'kms:CreateKey'], Resource: '*' },
        {
          ...{ Effect: 'Allow', Action: 'kms:ReplicateKey', Resource: '*' },
          Condition: { StringEquals: { 'kms:ReplicaRegion': name, 'kms:MultiRegionKeyType': 'PRIMARY' } },
        },
        {
          ...{ Effect: 'Allow', Action: 'kms:CreateKey', Resource: '*' },
          Condition: {
            StringEquals: { 'kms:MultiRegionKeyType': 'REPLICA', 'kms:ReplicaRegion': OTHER_REGION },
            Bool: { 'kms:MultiRegion': 'true' },
          },
        },
      )
    const key = await makeKey(kms, MULTI_REGION)
    const { kms: kept } = await makeUser(replicateTo('on-prem-7'))
    const asked = { KeyId: key.id, ReplicaRegion: OTHER_REGION }
    expect(await refusal(kept.replicateKey(asked))).toContain('AccessDeniedException')
    const { kms: lent } = await makeUser(replicateTo(OTHER_REGION))
    await lent.replicateKey(asked)
  })
})
