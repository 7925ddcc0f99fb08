import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { importMaterial } from '../support/import.ts'
import { EXTERNAL, expectState, makeExternal, originRefused, pendingImport } from './imports.ts'
import { answer, disabled, kms, makeKey, putInState, refusal } from './kms.ts'
import { takesKeyId } from './rules.ts'

const Plaintext = Buffer.from('attack at dawn')

describe('DeleteImportedKeyMaterial', () => {
  takesKeyId(KeyId => kms.deleteImportedKeyMaterial({ KeyId }), {
    action: 'DeleteImportedKeyMaterial',
    kind: EXTERNAL,
  })

  test('takes the material away at once, and the same bytes bring it back', async () => {
    const key = await makeExternal()
    const { id: KeyId, arn } = key
    const material = randomBytes(32)
    const { KeyMaterialId } = await importMaterial(kms, KeyId, material)
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext })
    expect(await answer(kms.deleteImportedKeyMaterial({ KeyId }))).toStrictEqual({ KeyId: arn, KeyMaterialId })
    await expectState(key, 'PendingImport')
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe(pendingImport(key))
    expect(await refusal(kms.encrypt({ KeyId, Plaintext }))).toBe(pendingImport(key))
    const { KeyMetadata } = await kms.describeKey({ KeyId })
    expect(KeyMetadata).toMatchObject({ CurrentKeyMaterialId: KeyMaterialId })
    expect(KeyMetadata!.ExpirationModel).toBeUndefined()
    const { Rotations } = await kms.listKeyRotations({ KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' })
    expect(Rotations).toStrictEqual([
      { KeyId, KeyMaterialId, KeyMaterialState: 'CURRENT', ImportState: 'PENDING_IMPORT' },
    ])
    await importMaterial(kms, KeyId, material)
    expect(Buffer.from((await kms.decrypt({ CiphertextBlob })).Plaintext!)).toEqual(Plaintext)
  })

  test('does nothing to a key that has none', async () => {
    const key = await makeExternal()
    expect(await answer(kms.deleteImportedKeyMaterial({ KeyId: key.id }))).toStrictEqual({ KeyId: key.arn })
    await expectState(key, 'PendingImport')
  })

  test('takes back what is pending, and leaves the key as it is', async () => {
    const key = await makeExternal()
    const { id: KeyId } = key
    await importMaterial(kms, KeyId, randomBytes(32))
    const NEW = { ImportType: 'NEW_KEY_MATERIAL' } as const
    const material = randomBytes(32)
    const { KeyMaterialId } = await importMaterial(kms, KeyId, material, NEW)
    await kms.deleteImportedKeyMaterial({ KeyId, KeyMaterialId })
    await expectState(key, 'Enabled')
    await importMaterial(kms, KeyId, material, NEW)
  })

  test('of a key that is pending deletion leaves its state; taken back, it is not enabled without material', async () => {
    const key = await makeExternal()
    const { id: KeyId } = key
    const material = randomBytes(32)
    await importMaterial(kms, KeyId, material)
    await putInState(key, 'PendingDeletion')
    await kms.deleteImportedKeyMaterial({ KeyId })
    await expectState(key, 'PendingDeletion')
    await kms.cancelKeyDeletion({ KeyId })
    await expectState(key, 'Disabled')
    expect(await refusal(kms.enableKey({ KeyId }))).toBe(pendingImport(key))
    expect(await refusal(kms.encrypt({ KeyId, Plaintext }))).toBe(disabled(key))
    await importMaterial(kms, KeyId, material)
    await kms.enableKey({ KeyId })
    await kms.encrypt({ KeyId, Plaintext })
  })

  test('refuses a key whose material was generated here, and an id that is none of the key', async () => {
    const key = await makeKey()
    expect(await refusal(kms.deleteImportedKeyMaterial({ KeyId: key.id }))).toBe(originRefused(key))
    const { id, arn } = await makeExternal()
    const KeyMaterialId = '0'.repeat(64)
    expect(await refusal(kms.deleteImportedKeyMaterial({ KeyId: id, KeyMaterialId }))).toBe(
      `NotFoundException: Key material '${KeyMaterialId}' does not exist in ${arn}`,
    )
  })
})

describe('a key that is pending import', () => {
  const calls: [string, (KeyId: string) => Promise<unknown>][] = [
    ['GenerateDataKey', KeyId => kms.generateDataKey({ KeyId, KeySpec: 'AES_256' })],
    ['GenerateDataKeyPair', KeyId => kms.generateDataKeyPair({ KeyId, KeyPairSpec: 'ECC_NIST_P256' })],
    ['EnableKey', KeyId => kms.enableKey({ KeyId })],
    ['DisableKey', KeyId => kms.disableKey({ KeyId })],
    ['RotateKeyOnDemand', KeyId => kms.rotateKeyOnDemand({ KeyId })],
  ]
  test.each(calls)('refuses %s', async (_, call) => {
    const key = await makeExternal()
    expect(await refusal(call(key.id))).toBe(pendingImport(key))
  })

  test('can be described, named, tagged, and deleted', async () => {
    const { id: KeyId } = await makeExternal()
    await kms.createAlias({ AliasName: `alias/${KeyId}`, TargetKeyId: KeyId })
    await kms.updateAlias({ AliasName: `alias/${KeyId}`, TargetKeyId: KeyId })
    await kms.tagResource({ KeyId, Tags: [{ TagKey: 'a', TagValue: 'b' }] })
    await kms.untagResource({ KeyId, TagKeys: ['a'] })
    await kms.updateKeyDescription({ KeyId, Description: 'x' })
    expect(await kms.getKeyRotationStatus({ KeyId })).toMatchObject({ KeyRotationEnabled: false })
    await kms.scheduleKeyDeletion({ KeyId })
  })

  test('is not rotated by itself', async () => {
    const { id: KeyId } = await makeExternal()
    await importMaterial(kms, KeyId, randomBytes(32))
    expect(await refusal(kms.enableKeyRotation({ KeyId }))).toMatch('UnsupportedOperationException: ')
    expect(await refusal(kms.disableKeyRotation({ KeyId }))).toMatch('UnsupportedOperationException: ')
  })

  test('cannot be of ML_DSA_44', async () => {
    const kind = { KeySpec: 'ML_DSA_44', KeyUsage: 'SIGN_VERIFY', Origin: 'EXTERNAL' } as const
    expect(await refusal(kms.createKey(kind))).toMatch('UnsupportedOperationException: ')
  })
})
