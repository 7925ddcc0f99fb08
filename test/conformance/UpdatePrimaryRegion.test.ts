import { describe, expect, test } from '@jest/globals'
import {
  answer,
  disabled,
  elsewhere,
  invalid,
  type Key,
  kms,
  makeKey,
  OTHER_REGION,
  pendingReplicaDeletion,
  putInState,
  refusal,
  region,
} from './kms.ts'
import { asksPrimary, configurationOf, counterpart, MULTI_REGION, makeReplicated } from './multi-region.ts'

const update = ({ id }: Key, PrimaryRegion: string | undefined = OTHER_REGION, client = kms) =>
  client.updatePrimaryRegion({ KeyId: id, PrimaryRegion })

describe('UpdatePrimaryRegion', () => {
  test('makes the replica the primary, and back', async () => {
    const { primary, replica } = await makeReplicated()
    expect(await answer(update(primary))).toStrictEqual({})
    for (const [client, key] of [
      [kms, primary],
      [elsewhere, replica],
    ] as const) {
      const { KeyMetadata } = await client.describeKey({ KeyId: key.id })
      expect(KeyMetadata).toMatchObject({
        KeyState: 'Enabled',
        MultiRegionConfiguration: configurationOf(key, OTHER_REGION, [region]),
      })
    }
    expect(await refusal(update(primary))).toBe(asksPrimary(primary, replica))
    await elsewhere.rotateKeyOnDemand({ KeyId: replica.id })
    await update(replica, region, elsewhere)
    await kms.rotateKeyOnDemand({ KeyId: primary.id })
  })

  test('a key of one region, no replica there, and the primary itself are refused', async () => {
    const single = await makeKey()
    expect(await refusal(update(single))).toBe(
      `UnsupportedOperationException: ${single.arn} is not a multi-Region key.`,
    )
    const alone = await makeKey(kms, MULTI_REGION)
    expect(await refusal(update(alone))).toBe(`NotFoundException: Key '${counterpart(alone).arn}' does not exist`)
    expect(await refusal(update(alone, region))).toBe(
      `UnsupportedOperationException: ${alone.arn} is the primary key in ${region} already.`,
    )
    expect(await refusal(update(alone, 'mars'))).toBe(
      invalid('primaryRegion', 'mars', 'satisfy regular expression pattern: ^(?:[a-z]+-){2,3}\\d+$'),
    )
  })

  test('neither of them may be disabled or on its way out', async () => {
    const { primary, replica } = await makeReplicated()
    await elsewhere.disableKey({ KeyId: replica.id })
    expect(await refusal(update(primary))).toBe(disabled(replica))
    await elsewhere.enableKey({ KeyId: replica.id })
    await putInState(primary, 'Disabled')
    expect(await refusal(update(primary))).toBe(disabled(primary))
    await putInState(primary, 'PendingDeletion')
    expect(await refusal(update(primary))).toBe(pendingReplicaDeletion(primary))
  })
})
