import type { Tag } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { answer, invalid, kms, makeKey, refusal } from './kms.ts'
import { NOT_PENDING, obeysKeyState, standingKey, takesKeyId } from './rules.ts'

const one = [{ TagKey: 'team', TagValue: 'billing' }]
const tags = (count: number, prefix = 'k') =>
  Array.from({ length: count }, (_, at) => ({ TagKey: `${prefix}${String(at).padStart(2, '0')}`, TagValue: 'v' }))

describe('TagResource', () => {
  takesKeyId(KeyId => kms.tagResource({ KeyId, Tags: one }), { action: 'TagResource' })
  obeysKeyState(({ id }) => kms.tagResource({ KeyId: id, Tags: one }), NOT_PENDING)

  const tagsOf = async (KeyId: string) => (await kms.listResourceTags({ KeyId })).Tags

  test('adds tags and replaces values; capitals matter', async () => {
    const { id } = await makeKey()
    expect(await answer(kms.tagResource({ KeyId: id, Tags: one }))).toStrictEqual({})
    const more = [
      { TagKey: 'Team', TagValue: '' },
      { TagKey: 'team', TagValue: 'orders' },
    ]
    await kms.tagResource({ KeyId: id, Tags: more })
    expect(await tagsOf(id)).toEqual(more)
  })

  test.each<[what: string, tag: Tag]>([
    ['128 and 256 characters', { TagKey: 'é'.repeat(128), TagValue: '🔑'.repeat(256) }],
    ['spaces and signs', { TagKey: ' a+=._:/@-', TagValue: ' "\\\n' }],
    ['__proto__', { TagKey: '__proto__', TagValue: 'x' }],
  ])('takes %s', async (_, tag) => {
    const { id } = await makeKey()
    await kms.tagResource({ KeyId: id, Tags: [tag] })
    expect(await tagsOf(id)).toEqual([tag])
  })

  test('a key holds 50 tags, and none of a request that would make more', async () => {
    const { id } = await makeKey()
    await kms.tagResource({ KeyId: id, Tags: tags(49) })
    expect(await refusal(kms.tagResource({ KeyId: id, Tags: tags(2, 'new') }))).toBe('TagException: Too many tags')
    await kms.tagResource({ KeyId: id, Tags: tags(1, 'new') })
    await kms.tagResource({ KeyId: id, Tags: tags(49) })
    expect(await tagsOf(id)).toEqual([...tags(49), ...tags(1, 'new')])
  })

  const reserved = 'TagException: Tags beginning with aws: are reserved'
  test.each<[what: string, tags: Tag[] | undefined, expected: string]>([
    ['no list', undefined, invalid('tags', null, 'not be null')],
    ['a key twice', [...one, ...one], 'TagException: Duplicate tag keys'],
    ['a reserved key', [{ TagKey: 'aws:x', TagValue: '' }], reserved],
    ['a reserved key in capitals', [{ TagKey: 'AwS:x', TagValue: '' }], reserved],
    ['51 tags', tags(51), 'TagException: Too many tags'],
    ['no key', [...one, { TagKey: undefined, TagValue: '' }], invalid('tags.2.member.tagKey', null, 'not be null')],
    ['no value', [{ TagKey: 'a', TagValue: undefined }], invalid('tags.1.member.tagValue', null, 'not be null')],
    [
      'an empty key',
      [{ TagKey: '', TagValue: '' }],
      invalid('tags.1.member.tagKey', '', 'have length greater than or equal to 1'),
    ],
    [
      'a key of 129 characters',
      [{ TagKey: 'a'.repeat(129), TagValue: '' }],
      invalid('tags.1.member.tagKey', 'a'.repeat(129), 'have length less than or equal to 128'),
    ],
    [
      'a value of 257 characters',
      [{ TagKey: 'a', TagValue: 'b'.repeat(257) }],
      invalid('tags.1.member.tagValue', 'b'.repeat(257), 'have length less than or equal to 256'),
    ],
  ])('refuses %s', async (_, Tags, expected) => {
    const { id } = await standingKey()
    expect(await refusal(kms.tagResource({ KeyId: id, Tags }))).toBe(expected)
    expect(await tagsOf(id)).toEqual([])
  })
})
