/** What the keys of one multi-Region key share, and what each has for itself: kms-api.md section 9. */
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { importMaterial } from '../support/import.ts'
import { makeExternal, pendingImport } from './imports.ts'
import {
  answer,
  bytes,
  callerArn,
  elsewhere,
  encrypt,
  type Key,
  type Kind,
  kms,
  makeKey,
  OTHER_REGION,
  pendingReplicaDeletion,
  refusal,
  text,
} from './kms.ts'
import { asksPrimary, counterpart, MULTI_REGION, MULTI_REGION_ID, makeReplicated, stateOf } from './multi-region.ts'

const PLAINTEXT = text('attack at dawn')

describe('a ciphertext, signature or MAC of one region', () => {
  test('is opened in the other, by its id or without', async () => {
    const { primary, replica } = await makeReplicated()
    expect(primary.id).toMatch(MULTI_REGION_ID)
    const CiphertextBlob = await encrypt(primary, { to: 'all' })
    const context = { CiphertextBlob, EncryptionContext: { to: 'all' } }
    const opened = await elsewhere.decrypt({ ...context, KeyId: replica.id })
    expect(opened).toMatchObject({ KeyId: replica.arn, Plaintext: PLAINTEXT })
    const { Plaintext, CiphertextBlob: sealed } = await elsewhere.generateDataKey({
      KeyId: replica.id,
      KeySpec: 'AES_256',
    })
    expect((await kms.decrypt({ CiphertextBlob: sealed })).Plaintext).toEqual(Plaintext)
    const single = await makeKey(elsewhere)
    const moved = await elsewhere.reEncrypt({
      ...{ CiphertextBlob, SourceEncryptionContext: { to: 'all' }, DestinationKeyId: single.id },
    })
    expect((await elsewhere.decrypt({ CiphertextBlob: moved.CiphertextBlob })).Plaintext).toEqual(PLAINTEXT)
  })

  test('is not opened where there is no replica, and another region cannot name the key by its own ARN', async () => {
    const alone = await makeKey(kms, MULTI_REGION)
    const CiphertextBlob = await encrypt(alone)
    expect(await refusal(elsewhere.decrypt({ CiphertextBlob }))).toContain('AccessDeniedException')
    expect(await refusal(elsewhere.decrypt({ CiphertextBlob, KeyId: alone.id }))).toBe(
      `NotFoundException: Key '${counterpart(alone).arn}' does not exist`,
    )
  })

  test.each<[Kind]>([
    [{ KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' }],
    [{ KeySpec: 'ECC_NIST_P384', KeyUsage: 'SIGN_VERIFY' }],
    [{ KeySpec: 'ECC_SECG_P256K1', KeyUsage: 'SIGN_VERIFY' }],
  ])('is verified there: %j', async kind => {
    const { primary, replica } = await makeReplicated(kind)
    const { PublicKey, SigningAlgorithms } = await kms.getPublicKey({ KeyId: primary.id })
    expect((await elsewhere.getPublicKey({ KeyId: replica.id })).PublicKey).toEqual(PublicKey)
    const message = { Message: PLAINTEXT, SigningAlgorithm: SigningAlgorithms!.at(-1)! }
    const { Signature } = await elsewhere.sign({ ...message, KeyId: replica.id })
    expect(await kms.verify({ ...message, KeyId: primary.id, Signature })).toMatchObject({ SignatureValid: true })
  })

  test.each<[Kind]>([
    [{ KeySpec: 'HMAC_224', KeyUsage: 'GENERATE_VERIFY_MAC' }],
    [{ KeySpec: 'HMAC_512', KeyUsage: 'GENERATE_VERIFY_MAC' }],
  ])('is verified there: %j', async kind => {
    const { primary, replica } = await makeReplicated(kind)
    const message = {
      Message: PLAINTEXT,
      MacAlgorithm: kind.KeySpec === 'HMAC_224' ? 'HMAC_SHA_224' : 'HMAC_SHA_512',
    } as const
    const { Mac } = await kms.generateMac({ ...message, KeyId: primary.id })
    expect(await elsewhere.verifyMac({ ...message, KeyId: replica.id, Mac })).toMatchObject({ MacValid: true })
  })

  test('is decrypted there, where it was encrypted with a public key', async () => {
    const { primary, replica } = await makeReplicated({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' })
    const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256'
    const { CiphertextBlob } = await kms.encrypt({ KeyId: primary.id, Plaintext: PLAINTEXT, EncryptionAlgorithm })
    const opened = await elsewhere.decrypt({ KeyId: replica.id, CiphertextBlob, EncryptionAlgorithm })
    expect(opened.Plaintext).toEqual(PLAINTEXT)
  })
})

describe('each key', () => {
  test('is enabled, described and lent for itself', async () => {
    const { primary, replica } = await makeReplicated()
    await elsewhere.createGrant({ KeyId: replica.id, GranteePrincipal: callerArn, Operations: ['Decrypt'] })
    await elsewhere.disableKey({ KeyId: replica.id })
    await elsewhere.updateKeyDescription({ KeyId: replica.id, Description: 'far away' })
    expect(await stateOf(primary)).toBe('Enabled')
    expect((await kms.describeKey({ KeyId: primary.id })).KeyMetadata!.Description).toBe('')
    expect((await kms.listGrants({ KeyId: primary.id })).Grants).toEqual([])
  })
})

describe('rotation', () => {
  test('is the primary’s to set, and replicas follow', async () => {
    const { primary, replica } = await makeReplicated()
    for (const call of [
      elsewhere.enableKeyRotation({ KeyId: replica.id }),
      elsewhere.disableKeyRotation({ KeyId: replica.id }),
      elsewhere.rotateKeyOnDemand({ KeyId: replica.id }),
    ])
      expect(await refusal(call)).toBe(asksPrimary(replica, primary))
    await kms.enableKeyRotation({ KeyId: primary.id, RotationPeriodInDays: 180 })
    const status = await answer(kms.getKeyRotationStatus({ KeyId: primary.id }))
    expect(await answer(elsewhere.getKeyRotationStatus({ KeyId: replica.id }))).toStrictEqual(status)
    expect(status).toMatchObject({ KeyRotationEnabled: true, RotationPeriodInDays: 180 })
    await kms.disableKeyRotation({ KeyId: primary.id })
    expect(await elsewhere.getKeyRotationStatus({ KeyId: replica.id })).toMatchObject({ KeyRotationEnabled: false })
  })

  test('gives all of them the same material', async () => {
    const { primary, replica } = await makeReplicated()
    const before = await encrypt(primary)
    await kms.rotateKeyOnDemand({ KeyId: primary.id })
    const listed = { IncludeKeyMaterial: 'ALL_KEY_MATERIAL' } as const
    const own = await kms.listKeyRotations({ ...listed, KeyId: primary.id })
    const theirs = await elsewhere.listKeyRotations({ ...listed, KeyId: replica.id })
    expect(own.Rotations).toHaveLength(2)
    expect(theirs.Rotations).toEqual(own.Rotations)
    const after = await encrypt(primary)
    for (const CiphertextBlob of [before, after])
      expect((await elsewhere.decrypt({ CiphertextBlob })).Plaintext).toEqual(PLAINTEXT)
    const { CiphertextBlob } = await elsewhere.encrypt({ KeyId: replica.id, Plaintext: PLAINTEXT })
    const { KeyMaterialId } = await kms.decrypt({ CiphertextBlob })
    expect(KeyMaterialId).toBe(
      own.Rotations!.find(({ KeyMaterialState }) => KeyMaterialState === 'CURRENT')!.KeyMaterialId,
    )
  })
})

describe('deletion', () => {
  test('of a primary waits for its replicas', async () => {
    const { primary, replica } = await makeReplicated()
    const scheduled = kms.scheduleKeyDeletion({ KeyId: primary.id, PendingWindowInDays: 9 })
    expect(await answer(scheduled)).toStrictEqual({
      ...{ KeyId: primary.arn, KeyState: 'PendingReplicaDeletion', PendingWindowInDays: 9 },
    })
    const { KeyMetadata } = await kms.describeKey({ KeyId: primary.id })
    expect(KeyMetadata).toMatchObject({ KeyState: 'PendingReplicaDeletion', PendingDeletionWindowInDays: 9 })
    expect(KeyMetadata!.DeletionDate).toBeUndefined()
    const use = kms.encrypt({ KeyId: primary.id, Plaintext: bytes(1) })
    expect(await refusal(use)).toBe(pendingReplicaDeletion(primary))
    // The replica serves on, and is deleted for itself.
    await elsewhere.encrypt({ KeyId: replica.id, Plaintext: bytes(1) })
    const gone = await elsewhere.scheduleKeyDeletion({ KeyId: replica.id, PendingWindowInDays: 7 })
    expect(gone).toMatchObject({ KeyState: 'PendingDeletion', DeletionDate: expect.any(Date) })
    expect(await answer(kms.cancelKeyDeletion({ KeyId: primary.id }))).toStrictEqual({ KeyId: primary.arn })
    expect(await stateOf(primary)).toBe('Disabled')
    await kms.enableKey({ KeyId: primary.id })
  })

  test('of a primary without replicas does not wait', async () => {
    const { id: KeyId } = await makeKey(kms, MULTI_REGION)
    expect(await kms.scheduleKeyDeletion({ KeyId })).toMatchObject({ KeyState: 'PendingDeletion' })
  })
})

describe('imported material', () => {
  const replicated = async (kind: Kind, material: Uint8Array): Promise<{ primary: Key; replica: Key }> => {
    const primary = await makeExternal({ ...kind, ...MULTI_REGION })
    await importMaterial(kms, primary.id, material)
    await kms.replicateKey({ KeyId: primary.id, ReplicaRegion: OTHER_REGION })
    return { primary, replica: counterpart(primary) }
  }
  const NEW = { ImportType: 'NEW_KEY_MATERIAL' } as const

  test('is imported into every replica, and then serves there', async () => {
    const material = randomBytes(32)
    const { primary, replica } = await replicated({}, material)
    expect(await stateOf(replica, elsewhere)).toBe('PendingImport')
    const CiphertextBlob = await encrypt(primary)
    expect(await refusal(elsewhere.decrypt({ CiphertextBlob }))).toBe(pendingImport(replica))
    expect(await refusal(importMaterial(elsewhere, replica.id, randomBytes(32)))).toContain('IncorrectKeyMaterial')
    await importMaterial(elsewhere, replica.id, material)
    expect((await elsewhere.decrypt({ CiphertextBlob })).Plaintext).toEqual(PLAINTEXT)
    expect(await refusal(importMaterial(elsewhere, replica.id, randomBytes(32), NEW))).toBe(
      asksPrimary(replica, primary),
    )
  })

  test('of MAC keys makes the same MACs', async () => {
    const material = randomBytes(32)
    const { primary, replica } = await replicated({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }, material)
    await importMaterial(elsewhere, replica.id, material)
    const message = { Message: PLAINTEXT, MacAlgorithm: 'HMAC_SHA_256' } as const
    const { Mac } = await kms.generateMac({ ...message, KeyId: primary.id })
    expect((await elsewhere.generateMac({ ...message, KeyId: replica.id })).Mac).toEqual(Mac)
  })

  test('is rotated to when it is everywhere', async () => {
    const [first, second] = [randomBytes(32), randomBytes(32)]
    const { primary, replica } = await replicated({}, first)
    await importMaterial(elsewhere, replica.id, first)
    const { KeyMaterialId } = await importMaterial(kms, primary.id, second, NEW)
    const stateOfPending = async (client = kms) => {
      const all = { KeyId: primary.id, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' } as const
      const { Rotations } = await client.listKeyRotations(all)
      return Rotations!.find(rotation => rotation.KeyMaterialId === KeyMaterialId)?.KeyMaterialState
    }
    for (const client of [kms, elsewhere])
      expect(await stateOfPending(client)).toBe('PENDING_MULTI_REGION_IMPORT_AND_ROTATION')
    expect(await refusal(kms.rotateKeyOnDemand({ KeyId: primary.id }))).toBe(
      `KMSInvalidStateException: ${replica.arn} waits for the import of key material ${KeyMaterialId}.`,
    )
    await importMaterial(elsewhere, replica.id, second)
    for (const client of [kms, elsewhere]) expect(await stateOfPending(client)).toBe('PENDING_ROTATION')
    await kms.rotateKeyOnDemand({ KeyId: primary.id })
    for (const client of [kms, elsewhere]) expect(await stateOfPending(client)).toBe('CURRENT')
    const { CiphertextBlob } = await elsewhere.encrypt({ KeyId: replica.id, Plaintext: PLAINTEXT })
    expect(await kms.decrypt({ CiphertextBlob })).toMatchObject({ KeyMaterialId, Plaintext: PLAINTEXT })
  })

  test('that is pending goes from the replicas when the primary lets go of it', async () => {
    const first = randomBytes(32)
    const { primary, replica } = await replicated({}, first)
    await importMaterial(elsewhere, replica.id, first)
    const { KeyMaterialId } = await importMaterial(kms, primary.id, randomBytes(32), NEW)
    await kms.deleteImportedKeyMaterial({ KeyId: primary.id, KeyMaterialId })
    const all = { KeyId: replica.id, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' } as const
    expect((await elsewhere.listKeyRotations(all)).Rotations).toHaveLength(1)
    expect(await stateOf(replica, elsewhere)).toBe('Enabled')
  })
})
