import { describe, expect, test } from '@jest/globals'
import { answer, INVALID_MARKER, kms, makeKey, refusal } from './kms.ts'
import { ANY_STATE, obeysKeyState, readPages, standingKey, takesKeyId, takesPages } from './rules.ts'

/** Above and below the Basic Multilingual Plane, where orders of characters and of bytes differ. */
const KEYS = ['a', 'b', 'ￗ', '😀', 'é', 'zz', '/']

describe('ListResourceTags', () => {
  takesKeyId(KeyId => kms.listResourceTags({ KeyId }), { action: 'ListResourceTags' })
  takesPages(50, async page => kms.listResourceTags({ KeyId: (await standingKey()).id, ...page }))
  obeysKeyState(({ id }) => kms.listResourceTags({ KeyId: id }), ANY_STATE)

  test('returns an empty list for a key without tags', async () => {
    const { id } = await makeKey()
    expect(await answer(kms.listResourceTags({ KeyId: id }))).toStrictEqual({ Tags: [], Truncated: false })
  })

  test('returns tags as they were given', async () => {
    const { id } = await makeKey()
    const Tags = [
      { TagKey: 'cost', TagValue: '' },
      { TagKey: 'team', TagValue: 'billing' },
    ]
    await kms.tagResource({ KeyId: id, Tags })
    expect(await answer(kms.listResourceTags({ KeyId: id }))).toStrictEqual({ Tags, Truncated: false })
  })

  test.each([1, 3, 7])('shows each tag once in pages of %d', async limit => {
    const { id } = await makeKey()
    await kms.tagResource({ KeyId: id, Tags: KEYS.map(TagKey => ({ TagKey, TagValue: 'v' })) })
    const pages = await readPages(limit, async page => {
      const { Tags: items, ...rest } = await kms.listResourceTags({ KeyId: id, ...page })
      return { items, ...rest }
    })
    const shown = pages.flat().map(({ TagKey }) => TagKey!)
    expect(shown.sort()).toEqual([...KEYS].sort())
  })

  test('refuses the markers of another key and of another list', async () => {
    const [key, other] = [await makeKey(), await makeKey()]
    const Tags = KEYS.map(TagKey => ({ TagKey, TagValue: '' }))
    for (const { id } of [key, other]) await kms.tagResource({ KeyId: id, Tags })
    const { NextMarker: ofOther } = await kms.listResourceTags({ KeyId: other.id, Limit: 1 })
    const { NextMarker: ofKeys } = await kms.listKeys({ Limit: 1 })
    for (const Marker of [ofOther!, ofKeys!]) {
      expect(await refusal(kms.listResourceTags({ KeyId: key.id, Marker }))).toBe(INVALID_MARKER)
    }
  })
})
