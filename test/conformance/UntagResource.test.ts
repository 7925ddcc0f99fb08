import { describe, expect, test } from '@jest/globals'
import { answer, invalid, kms, makeKey, refusal } from './kms.ts'
import { NOT_PENDING, obeysKeyState, standingKey, takesKeyId } from './rules.ts'

const TAG_KEY_RULES =
  'satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]'

describe('UntagResource', () => {
  takesKeyId(KeyId => kms.untagResource({ KeyId, TagKeys: ['team'] }), { action: 'UntagResource' })
  obeysKeyState(({ id }) => kms.untagResource({ KeyId: id, TagKeys: ['team'] }), NOT_PENDING)

  test.each<[what: string, keys: string[], left: string[]]>([
    ['some', ['a', 'c'], ['B', 'b']],
    ['all', ['a', 'b', 'B', 'c'], []],
    ['none', [], ['B', 'a', 'b', 'c']],
    ['one that is not there', ['d'], ['B', 'a', 'b', 'c']],
    ['one twice', ['a', 'a'], ['B', 'b', 'c']],
  ])('removes %s', async (_, TagKeys, left) => {
    const { id } = await makeKey()
    await kms.tagResource({ KeyId: id, Tags: ['a', 'b', 'B', 'c'].map(TagKey => ({ TagKey, TagValue: '' })) })
    expect(await answer(kms.untagResource({ KeyId: id, TagKeys }))).toStrictEqual({})
    const { Tags } = await kms.listResourceTags({ KeyId: id })
    expect(Tags!.map(({ TagKey }) => TagKey)).toEqual(left)
  })

  test.each([
    ['no list', undefined, invalid('tagKeys', null, 'not be null')],
    ['an empty key', ['a', ''], invalid('tagKeys', '[a, ]', TAG_KEY_RULES)],
    ['a key of 129 characters', ['a'.repeat(129)], invalid('tagKeys', `[${'a'.repeat(129)}]`, TAG_KEY_RULES)],
  ])('refuses %s', async (_, TagKeys, expected) => {
    const { id } = await standingKey()
    expect(await refusal(kms.untagResource({ KeyId: id, TagKeys }))).toBe(expected)
  })
})
