import { describe, expect, test } from '@jest/globals'
import { answer, disabled, invalid, kms, makeKey, pendingDeletion, refusal } from './kms.ts'
import { obeysKeyState, standingKey, takesKeyId } from './rules.ts'

const DAY_MS = 86_400_000
const ONLY_ENABLED = { Disabled: disabled, PendingDeletion: pendingDeletion }

describe('EnableKeyRotation', () => {
  takesKeyId(KeyId => kms.enableKeyRotation({ KeyId }), { action: 'EnableKeyRotation' })
  obeysKeyState(({ id }) => kms.enableKeyRotation({ KeyId: id }), ONLY_ENABLED)

  test.each([undefined, 90, 2_560])('with a period of %s days', async RotationPeriodInDays => {
    const { id } = await makeKey()
    const before = Date.now()
    expect(await answer(kms.enableKeyRotation({ KeyId: id, RotationPeriodInDays }))).toStrictEqual({})
    const days = RotationPeriodInDays ?? 365
    const status = await answer(kms.getKeyRotationStatus({ KeyId: id }))
    expect(status).toStrictEqual({
      KeyId: id,
      KeyRotationEnabled: true,
      RotationPeriodInDays: days,
      NextRotationDate: expect.any(Date),
    })
    const next = status.NextRotationDate!.getTime() - days * DAY_MS
    expect(next).toBeGreaterThanOrEqual(before)
    expect(next).toBeLessThanOrEqual(Date.now())
  })

  test('again, it changes the period', async () => {
    const { id } = await makeKey()
    await kms.enableKeyRotation({ KeyId: id, RotationPeriodInDays: 100 })
    await kms.enableKeyRotation({ KeyId: id, RotationPeriodInDays: 200 })
    expect(await kms.getKeyRotationStatus({ KeyId: id })).toMatchObject({ RotationPeriodInDays: 200 })
  })

  test.each([
    [89, 'greater than or equal to 90'],
    [2_561, 'less than or equal to 2560'],
  ])('refuses %d days', async (RotationPeriodInDays, rule) => {
    const { id } = await standingKey()
    expect(await refusal(kms.enableKeyRotation({ KeyId: id, RotationPeriodInDays }))).toBe(
      invalid('rotationPeriodInDays', String(RotationPeriodInDays), `have value ${rule}`),
    )
  })

  test.each([
    ['HMAC_256', 'GENERATE_VERIFY_MAC'],
    ['ECC_NIST_P256', 'SIGN_VERIFY'],
  ] as const)('refuses a key of %s', async (KeySpec, KeyUsage) => {
    const { id, arn } = await standingKey({ KeySpec, KeyUsage })
    const notRotated = `UnsupportedOperationException: ${arn} is of KeySpec ${KeySpec}: only symmetric encryption keys are rotated.`
    expect(await refusal(kms.enableKeyRotation({ KeyId: id }))).toBe(notRotated)
    expect(await refusal(kms.disableKeyRotation({ KeyId: id }))).toBe(notRotated)
    expect(await refusal(kms.rotateKeyOnDemand({ KeyId: id }))).toBe(notRotated)
    expect(await refusal(kms.listKeyRotations({ KeyId: id }))).toBe(notRotated)
  })

  test('refuses a key of imported material', async () => {
    const { id, arn } = await standingKey({ Origin: 'EXTERNAL' })
    const wrongOrigin = `UnsupportedOperationException: ${arn} origin is EXTERNAL which is not valid for this operation.`
    expect(await refusal(kms.enableKeyRotation({ KeyId: id }))).toBe(wrongOrigin)
    expect(await refusal(kms.disableKeyRotation({ KeyId: id }))).toBe(wrongOrigin)
  })
})
