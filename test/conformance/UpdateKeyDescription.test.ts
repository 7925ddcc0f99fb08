import { describe, expect, test } from '@jest/globals'
import { answer, invalid, kms, makeKey, refusal } from './kms.ts'
import { NOT_PENDING, obeysKeyState, standingKey, takesKeyId } from './rules.ts'

describe('UpdateKeyDescription', () => {
  const update = (KeyId: string | undefined, Description: string | undefined = 'new') =>
    kms.updateKeyDescription({ KeyId, Description })
  takesKeyId(KeyId => update(KeyId), { action: 'UpdateKeyDescription' })
  obeysKeyState(({ id }) => update(id), NOT_PENDING)

  test.each([
    ['text', 'orders, 2026'],
    ['nothing', ''],
    ['8,192 characters', '🔑'.repeat(8_192)],
    ['characters that need care', '"\\\u0000\n\u2028é'],
  ])('replaces the description by %s', async (_, description) => {
    const { id } = await makeKey()
    await update(id, 'before')
    expect(await answer(update(id, description))).toStrictEqual({})
    expect((await kms.describeKey({ KeyId: id })).KeyMetadata!.Description).toBe(description)
  })

  const long = 'a'.repeat(8_193)
  test.each([
    ['no description', undefined, invalid('description', null, 'not be null')],
    ['8,193 characters', long, invalid('description', long, 'have length less than or equal to 8192')],
  ])('refuses %s', async (_, Description, expected) => {
    const { id } = await standingKey()
    expect(await refusal(kms.updateKeyDescription({ KeyId: id, Description }))).toBe(expected)
  })
})
