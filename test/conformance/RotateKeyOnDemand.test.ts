import { describe, expect, test } from '@jest/globals'
import { answer, disabled, encrypt, kms, makeKey, pendingDeletion, refusal, text } from './kms.ts'
import { obeysKeyState, takesKeyId } from './rules.ts'

describe('RotateKeyOnDemand', () => {
  takesKeyId(KeyId => kms.rotateKeyOnDemand({ KeyId }), { action: 'RotateKeyOnDemand', echoes: true })
  obeysKeyState(({ id }) => kms.rotateKeyOnDemand({ KeyId: id }), {
    Disabled: disabled,
    PendingDeletion: pendingDeletion,
  })

  test('new ciphertexts are made with the new material, old ones open with theirs', async () => {
    const key = await makeKey()
    const made = [await encrypt(key)]
    for (let times = 0; times < 3; times++) {
      expect(await answer(kms.rotateKeyOnDemand({ KeyId: key.id }))).toStrictEqual({ KeyId: key.id })
      made.push(await encrypt(key))
    }
    const opened = await Promise.all(made.map(CiphertextBlob => kms.decrypt({ CiphertextBlob })))
    expect(opened.map(({ Plaintext }) => Plaintext)).toEqual(Array(4).fill(text('attack at dawn')))
    expect(new Set(opened.map(({ KeyMaterialId }) => KeyMaterialId)).size).toBe(4)
    const { KeyMetadata } = await kms.describeKey({ KeyId: key.id })
    expect(KeyMetadata!.CurrentKeyMaterialId).toBe(opened[3]!.KeyMaterialId)
    const moved = await kms.reEncrypt({ CiphertextBlob: made[0], DestinationKeyId: key.id })
    expect(moved).toMatchObject({
      SourceKeyMaterialId: opened[0]!.KeyMaterialId,
      DestinationKeyMaterialId: opened[3]!.KeyMaterialId,
    })
  })

  test('25 times and no more', async () => {
    const { id, arn } = await makeKey()
    for (let times = 0; times < 25; times++) await kms.rotateKeyOnDemand({ KeyId: id })
    expect(await refusal(kms.rotateKeyOnDemand({ KeyId: id }))).toBe(
      `LimitExceededException: ${arn} was rotated on demand 25 times, which is the most.`,
    )
  })

  test('does not move the schedule', async () => {
    const { id } = await makeKey()
    await kms.enableKeyRotation({ KeyId: id })
    const before = await kms.getKeyRotationStatus({ KeyId: id })
    await kms.rotateKeyOnDemand({ KeyId: id })
    const after = await kms.getKeyRotationStatus({ KeyId: id })
    expect(after.NextRotationDate).toEqual(before.NextRotationDate)
  })

  test('two at once both happen, or one is told to try again', async () => {
    const { id } = await makeKey()
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => kms.rotateKeyOnDemand({ KeyId: id })))
    const done = outcomes.filter(({ status }) => status === 'fulfilled').length
    const { Rotations } = await kms.listKeyRotations({ KeyId: id })
    expect(done).toBeGreaterThan(0)
    expect(Rotations!.length).toBe(done)
    expect(Rotations!.filter(({ KeyMaterialState }) => KeyMaterialState === 'CURRENT').length).toBe(1)
  })
})

test('at once, every rotation is made or conflicts with another', async () => {
  const { id: KeyId } = await makeKey()
  const rotate = () =>
    kms.rotateKeyOnDemand({ KeyId }).then(
      () => 'ok',
      ({ name }: Error) => name,
    )
  const outcomes = await Promise.all(Array.from({ length: 8 }, rotate))
  expect([...new Set(outcomes)].sort()).toEqual(['ConflictException', 'ok'])
  const { Rotations } = await kms.listKeyRotations({ KeyId })
  expect(Rotations).toHaveLength(outcomes.filter(outcome => outcome === 'ok').length)
})
