import { describe, expect, test } from '@jest/globals'
import { answer, kms, MATERIAL_ID, makeKey } from './kms.ts'
import { ANY_STATE, obeysKeyState, readPages, standingKey, takesKeyId, takesPages } from './rules.ts'

describe('ListKeyRotations', () => {
  takesKeyId(KeyId => kms.listKeyRotations({ KeyId }), { action: 'ListKeyRotations' })
  obeysKeyState(({ id }) => kms.listKeyRotations({ KeyId: id }), ANY_STATE)
  takesPages(1_000, async page => kms.listKeyRotations({ KeyId: (await standingKey()).id, ...page }))

  test('the first material is listed only with all', async () => {
    const { id, arn } = await makeKey()
    expect(await answer(kms.listKeyRotations({ KeyId: id }))).toStrictEqual({ Rotations: [], Truncated: false })
    await kms.rotateKeyOnDemand({ KeyId: id })
    const rotation = {
      KeyId: id,
      KeyMaterialId: MATERIAL_ID,
      KeyMaterialState: 'CURRENT',
      RotationDate: expect.any(Date),
      RotationType: 'ON_DEMAND',
    }
    expect(await answer(kms.listKeyRotations({ KeyId: id }))).toStrictEqual({ Rotations: [rotation], Truncated: false })
    expect(await answer(kms.listKeyRotations({ KeyId: arn, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' }))).toStrictEqual({
      Rotations: [
        { KeyId: arn, KeyMaterialId: MATERIAL_ID, KeyMaterialState: 'NON_CURRENT' },
        { ...rotation, KeyId: arn },
      ],
      Truncated: false,
    })
  })

  test('comes in pages, the oldest first', async () => {
    const { id } = await makeKey()
    for (let times = 0; times < 5; times++) await kms.rotateKeyOnDemand({ KeyId: id })
    const pages = await readPages(2, async page => {
      const { Rotations, ...rest } = await kms.listKeyRotations({ KeyId: id, ...page })
      return { items: Rotations, ...rest }
    })
    const dates = pages.flat().map(({ RotationDate }) => RotationDate!.getTime())
    expect(dates.length).toBe(5)
    expect(dates).toEqual([...dates].sort((a, b) => a - b))
  })
})
