import { describe, expect, test } from '@jest/globals'
import { answer, kms } from './kms.ts'
import { ANY_STATE, obeysKeyState, standingKey, takesKeyId } from './rules.ts'

describe('ListKeyPolicies', () => {
  takesKeyId(KeyId => kms.listKeyPolicies({ KeyId }), { action: 'ListKeyPolicies' })
  obeysKeyState(({ id }) => kms.listKeyPolicies({ KeyId: id }), ANY_STATE)

  test('names the one policy that there is', async () => {
    const { id: KeyId } = await standingKey()
    const expected = { PolicyNames: ['default'], Truncated: false }
    expect(await answer(kms.listKeyPolicies({ KeyId, Limit: 1 }))).toStrictEqual(expected)
  })
})
