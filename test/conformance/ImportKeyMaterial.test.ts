import { createCipheriv, createHmac, generateKeyPairSync, randomBytes } from 'node:crypto'
import type { GetParametersForImportResponse, KeySpec, KeyUsageType } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { importedMidInput } from '../../src/formats/imported-material.ts'
import { kidOf } from '../../src/model/key-id.ts'
import { importMaterial, pkcs8, wrapMaterial } from '../support/import.ts'
import { EXTERNAL, expectState, makeExternal, originRefused, pendingImport } from './imports.ts'
import {
  answer,
  bytes,
  INVALID_CIPHERTEXT,
  invalid,
  kms,
  makeKey,
  pendingDeletion,
  putInState,
  refusal,
} from './kms.ts'
import { takesKeyId } from './rules.ts'

const Plaintext = Buffer.from('attack at dawn')
const INVALID_TOKEN = 'InvalidImportTokenException: The import token is not valid for this KMS key.'

function parametersOf(
  KeyId: string,
  WrappingAlgorithm: 'RSAES_OAEP_SHA_1' | 'RSAES_OAEP_SHA_256' = 'RSAES_OAEP_SHA_1',
) {
  return kms.getParametersForImport({ KeyId, WrappingAlgorithm, WrappingKeySpec: 'RSA_2048' })
}

describe('ImportKeyMaterial', () => {
  takesKeyId(
    async KeyId => {
      const named = KeyId?.startsWith('arn:') === true ? KeyId.split('/').at(-1) : KeyId
      const parameters = await parametersOf(named ?? '').catch(() => ({ ImportToken: bytes(49), PublicKey: undefined }))
      const { ImportToken, PublicKey } = parameters
      const wrapped = PublicKey === undefined ? bytes(256) : wrapMaterial('RSAES_OAEP_SHA_1', PublicKey, bytes(32))
      const ExpirationModel = 'KEY_MATERIAL_DOES_NOT_EXPIRE'
      return kms.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial: wrapped, ExpirationModel })
    },
    { action: 'ImportKeyMaterial', kind: EXTERNAL },
  )

  test('enables a key that waits for material, and its id fixes key and bytes', async () => {
    const key = await makeExternal()
    await expectState(key, 'PendingImport')
    expect(await refusal(kms.encrypt({ KeyId: key.id, Plaintext }))).toBe(pendingImport(key))
    const material = randomBytes(32)
    const id = createHmac('sha256', material)
      .update(importedMidInput(kidOf(key.id), 'SYMMETRIC_DEFAULT'))
      .digest('hex')
    expect(await answer(importMaterial(kms, key.id, material))).toStrictEqual({ KeyId: key.arn, KeyMaterialId: id })
    expect((await kms.describeKey({ KeyId: key.id })).KeyMetadata).toMatchObject({
      ...{ KeyState: 'Enabled', Origin: 'EXTERNAL', ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' },
      CurrentKeyMaterialId: id,
    })
    const { CiphertextBlob } = await kms.encrypt({ KeyId: key.id, Plaintext })
    expect(Buffer.from((await kms.decrypt({ CiphertextBlob })).Plaintext!)).toEqual(Plaintext)
  })

  test('leaves a disabled key disabled', async () => {
    const key = await makeExternal()
    const material = randomBytes(32)
    await importMaterial(kms, key.id, material)
    await putInState(key, 'Disabled')
    await importMaterial(kms, key.id, material)
    await expectState(key, 'Disabled')
  })

  test('refuses a key whose material was generated here', async () => {
    const key = await makeKey()
    const call = kms.importKeyMaterial({ KeyId: key.id, ImportToken: bytes(49), EncryptedKeyMaterial: bytes(256) })
    expect(await refusal(call)).toBe(originRefused(key))
  })

  test('refuses a key that is pending deletion', async () => {
    const key = await makeExternal()
    const parameters = await parametersOf(key.id)
    await putInState(key, 'PendingDeletion')
    const call = importMaterial(kms, key.id, randomBytes(32), {}, 'RSAES_OAEP_SHA_1', parameters)
    expect(await refusal(call)).toBe(pendingDeletion(key))
  })

  describe('the import token', () => {
    test('can be used again', async () => {
      const { id } = await makeExternal()
      const parameters = await parametersOf(id)
      const material = randomBytes(32)
      const once = () => importMaterial(kms, id, material, {}, 'RSAES_OAEP_SHA_1', parameters)
      expect((await once()).KeyMaterialId).toBe((await once()).KeyMaterialId)
    })

    test.each<[string, (token: Buffer) => Uint8Array]>([
      ['with a bit of its MAC flipped', token => Buffer.from(token).fill(token[48]! ^ 1, 48)],
      ['with a bit of its id flipped', token => Buffer.from(token).fill(token[1]! ^ 1, 1, 2)],
      ['of another format', token => Buffer.from(token).fill(2, 0, 1)],
      ['that was cut', token => token.subarray(0, 48)],
      ['with more at its end', token => Buffer.concat([token, Buffer.alloc(1)])],
    ])('%s is refused', async (_, change) => {
      const { id } = await makeExternal()
      const parameters = await parametersOf(id)
      const ImportToken = change(Buffer.from(parameters.ImportToken!))
      const call = importMaterial(kms, id, randomBytes(32), {}, 'RSAES_OAEP_SHA_1', { ...parameters, ImportToken })
      expect(await refusal(call)).toBe(INVALID_TOKEN)
    })

    test('of another key is refused', async () => {
      const [one, other] = [await makeExternal(), await makeExternal()]
      const parameters = await parametersOf(other.id)
      const call = importMaterial(kms, one.id, randomBytes(32), {}, 'RSAES_OAEP_SHA_1', parameters)
      expect(await refusal(call)).toBe(INVALID_TOKEN)
    })
  })

  describe('bad material (20)', () => {
    const wrapped = (parameters: GetParametersForImportResponse, material: Buffer) =>
      wrapMaterial('RSAES_OAEP_SHA_1', parameters.PublicKey!, material)
    const kinds: [string, (parameters: GetParametersForImportResponse) => Buffer][] = [
      ['padding', () => randomBytes(256)],
      ['zeros', () => Buffer.alloc(256)],
      ['a modulus too long', () => randomBytes(257)],
      ['one byte', () => bytes(1) as Buffer],
      ['16 bytes of key', parameters => wrapped(parameters, randomBytes(16))],
      ['31 bytes of key', parameters => wrapped(parameters, randomBytes(31))],
      ['33 bytes of key', parameters => wrapped(parameters, randomBytes(33))],
      ['64 bytes of key', parameters => wrapped(parameters, randomBytes(64))],
    ]

    test.each(['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'] as const)('by %s gives one answer', async algorithm => {
      const { id: KeyId } = await makeExternal()
      const answers = new Set<string>()
      for (const [, make] of kinds) {
        const parameters = await parametersOf(KeyId, algorithm)
        const EncryptedKeyMaterial =
          algorithm === 'RSAES_OAEP_SHA_1' ? make(parameters) : again(make, parameters, algorithm)
        const ExpirationModel = 'KEY_MATERIAL_DOES_NOT_EXPIRE'
        const { ImportToken } = parameters
        answers.add(await refusal(kms.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial, ExpirationModel })))
      }
      expect([...answers]).toEqual([INVALID_CIPHERTEXT])
    })

    /** The same kinds, wrapped by the other hash where they are wrapped at all. */
    function again(
      make: (parameters: GetParametersForImportResponse) => Buffer,
      parameters: GetParametersForImportResponse,
      algorithm: 'RSAES_OAEP_SHA_256',
    ): Buffer {
      const lengths = { '16': 16, '31': 31, '33': 33, '64': 64 } as Record<string, number>
      const [name] = kinds.find(([, each]) => each === make)!
      const length = lengths[name.split(' ')[0]!]
      return length === undefined
        ? make(parameters)
        : wrapMaterial(algorithm, parameters.PublicKey!, randomBytes(length))
    }

    test.each(['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'] as const)(
      'ends the wrapping key of %s after ten times; before, it is as good as ever',
      async algorithm => {
        const { id: KeyId } = await makeExternal()
        const parameters = await parametersOf(KeyId, algorithm)
        const { ImportToken } = parameters
        const material = randomBytes(32)
        const bad = () =>
          refusal(
            kms.importKeyMaterial({
              ...{ KeyId, ImportToken, EncryptedKeyMaterial: randomBytes(256) },
              ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE',
            }),
          )
        const good = () => importMaterial(kms, KeyId, material, {}, algorithm, parameters)
        for (let tries = 1; tries <= 9; tries += 1) expect(await bad()).toBe(INVALID_CIPHERTEXT)
        await good()
        await good()
        expect(await bad()).toBe(INVALID_CIPHERTEXT)
        expect(await bad()).toBe(INVALID_TOKEN)
        expect(await refusal(good())).toBe(INVALID_TOKEN)
      },
    )

    test('at once is counted as well', async () => {
      const { id: KeyId } = await makeExternal()
      const { ImportToken } = await parametersOf(KeyId)
      const EncryptedKeyMaterial = randomBytes(256)
      const ExpirationModel = 'KEY_MATERIAL_DOES_NOT_EXPIRE'
      const call = () => refusal(kms.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial, ExpirationModel }))
      const answers = await Promise.all(Array.from({ length: 30 }, call))
      expect(answers.filter(each => each === INVALID_CIPHERTEXT)).toHaveLength(10)
      expect(answers.filter(each => each === INVALID_TOKEN)).toHaveLength(20)
    })

    const rsa = (modulusLength: number) => pkcs8(generateKeyPairSync('rsa', { modulusLength }).privateKey)
    const ec = (namedCurve: string) => pkcs8(generateKeyPairSync('ec', { namedCurve }).privateKey)
    const pairs: [KeySpec, KeyUsageType, string, () => Buffer][] = [
      ['RSA_2048', 'SIGN_VERIFY', 'a key of RSA-3072', () => rsa(3_072)],
      ['RSA_3072', 'SIGN_VERIFY', 'a key of RSA-2048', () => rsa(2_048)],
      ['RSA_2048', 'ENCRYPT_DECRYPT', 'an EC key', () => ec('prime256v1')],
      ['RSA_2048', 'ENCRYPT_DECRYPT', 'garbage', () => randomBytes(1_200)],
      ['ECC_NIST_P256', 'SIGN_VERIFY', 'a key on P-384', () => ec('secp384r1')],
      ['ECC_NIST_P256', 'SIGN_VERIFY', 'a key on secp256k1', () => ec('secp256k1')],
      ['ECC_SECG_P256K1', 'SIGN_VERIFY', 'a key on P-256', () => ec('prime256v1')],
      ['ECC_NIST_P384', 'KEY_AGREEMENT', 'an RSA key', () => rsa(2_048)],
      [
        'ECC_NIST_P256',
        'SIGN_VERIFY',
        'explicit parameters',
        () =>
          generateKeyPairSync('ec', { namedCurve: 'prime256v1', paramEncoding: 'explicit' }).privateKey.export({
            type: 'pkcs8',
            format: 'der',
          }),
      ],
    ]
    test.each(pairs)('for %s, %s: %s', async (KeySpec, KeyUsage, _, material) => {
      const { id } = await makeExternal({ KeySpec, KeyUsage })
      const algorithm = 'RSA_AES_KEY_WRAP_SHA_256'
      expect(await refusal(importMaterial(kms, id, material(), {}, algorithm))).toBe(INVALID_CIPHERTEXT)
    })

    test('under another AES key than the one that came with it', async () => {
      const { id: KeyId } = await makeExternal({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' })
      const algorithm = 'RSA_AES_KEY_WRAP_SHA_1'
      const under = { WrappingAlgorithm: algorithm, WrappingKeySpec: 'RSA_2048' } as const
      const { ImportToken, PublicKey } = await kms.getParametersForImport({ KeyId, ...under })
      const good = wrapMaterial(algorithm, PublicKey!, ec('prime256v1'))
      const cipher = createCipheriv('id-aes256-wrap-pad', randomBytes(32), Buffer.from('a65959a6', 'hex'))
      const other = Buffer.concat([good.subarray(0, 256), cipher.update(ec('prime256v1')), cipher.final()])
      const badFirst = Buffer.concat([randomBytes(256), good.subarray(256)])
      for (const EncryptedKeyMaterial of [other, badFirst, good.subarray(0, 256)]) {
        const ExpirationModel = 'KEY_MATERIAL_DOES_NOT_EXPIRE'
        const call = kms.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial, ExpirationModel })
        expect(await refusal(call)).toBe(INVALID_CIPHERTEXT)
      }
    })

    test('that a token would change: an HMAC key longer than its block that is filled up', async () => {
      const { id } = await makeExternal({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' })
      expect(await refusal(importMaterial(kms, id, randomBytes(65)))).toMatch(
        'UnsupportedOperationException: The HSM fills',
      )
    })
  })

  describe('of several materials', () => {
    const NEW = { ImportType: 'NEW_KEY_MATERIAL' } as const
    const EXISTING = { ImportType: 'EXISTING_KEY_MATERIAL' } as const

    test('the second one waits for a rotation, and both decrypt after it', async () => {
      const { id: KeyId, arn } = await makeExternal()
      const first = await importMaterial(kms, KeyId, randomBytes(32), { KeyMaterialDescription: 'one' })
      const old = await kms.encrypt({ KeyId, Plaintext })
      expect(await refusal(kms.rotateKeyOnDemand({ KeyId }))).toBe(
        `KMSInvalidStateException: No available key material pending rotation for the key: ${arn}.`,
      )
      const second = await importMaterial(kms, KeyId, randomBytes(32), { ...NEW, KeyMaterialDescription: 'two' })
      const list = async () => {
        const { Rotations } = await kms.listKeyRotations({ KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' })
        return Rotations!
      }
      const facts = { KeyId, ImportState: 'IMPORTED', ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' }
      const entry = (KeyMaterialDescription: string, KeyMaterialId: string | undefined, KeyMaterialState: string) => ({
        ...{ ...facts, KeyMaterialDescription, KeyMaterialId, KeyMaterialState },
      })
      expect(await list()).toStrictEqual([
        entry('one', first.KeyMaterialId, 'CURRENT'),
        entry('two', second.KeyMaterialId, 'PENDING_ROTATION'),
      ])
      expect((await kms.listKeyRotations({ KeyId })).Rotations).toEqual([])
      expect(
        (await kms.decrypt({ CiphertextBlob: (await kms.encrypt({ KeyId, Plaintext })).CiphertextBlob })).KeyMaterialId,
      ).toBe(first.KeyMaterialId)
      await kms.rotateKeyOnDemand({ KeyId })
      expect(await list()).toStrictEqual([
        entry('one', first.KeyMaterialId, 'NON_CURRENT'),
        { ...entry('two', second.KeyMaterialId, 'CURRENT'), RotationDate: expect.any(Date), RotationType: 'ON_DEMAND' },
      ])
      expect((await kms.describeKey({ KeyId })).KeyMetadata!.CurrentKeyMaterialId).toBe(second.KeyMaterialId)
      expect((await kms.decrypt({ CiphertextBlob: old.CiphertextBlob })).KeyMaterialId).toBe(first.KeyMaterialId)
    })

    test('the key is enabled only while all that it has worked with are there', async () => {
      const key = await makeExternal()
      const { id: KeyId } = key
      const [one, two] = [randomBytes(32), randomBytes(32)]
      const { KeyMaterialId } = await importMaterial(kms, KeyId, one)
      await importMaterial(kms, KeyId, two, NEW)
      await kms.rotateKeyOnDemand({ KeyId })
      await kms.deleteImportedKeyMaterial({ KeyId, KeyMaterialId })
      await expectState(key, 'PendingImport')
      await kms.deleteImportedKeyMaterial({ KeyId })
      await importMaterial(kms, KeyId, one)
      await expectState(key, 'PendingImport')
      await importMaterial(kms, KeyId, two)
      await expectState(key, 'Enabled')
    })

    test('other bytes are refused as existing, known ones as new, and any under another id', async () => {
      const { id: KeyId, arn } = await makeExternal()
      const [one, two] = [randomBytes(32), randomBytes(32)]
      const { KeyMaterialId } = await importMaterial(kms, KeyId, one)
      const unknown = `IncorrectKeyMaterialException: The key material was never imported into ${arn}.`
      expect(await refusal(importMaterial(kms, KeyId, two))).toBe(unknown)
      expect(await refusal(importMaterial(kms, KeyId, two, EXISTING))).toBe(unknown)
      expect(await refusal(importMaterial(kms, KeyId, one, NEW))).toBe(
        `IncorrectKeyMaterialException: The key material is associated with ${arn} already.`,
      )
      expect(await refusal(importMaterial(kms, KeyId, two, { KeyMaterialId }))).toBe(
        'IncorrectKeyMaterialException: The key material is not the one that KeyMaterialId names.',
      )
      await importMaterial(kms, KeyId, one, { ...EXISTING, KeyMaterialId })
      await importMaterial(kms, KeyId, two, NEW)
      expect(await refusal(importMaterial(kms, KeyId, randomBytes(32), NEW))).toMatch('KMSInvalidStateException: ')
    })

    test('a first import as existing is refused', async () => {
      const { id, arn } = await makeExternal()
      expect(await refusal(importMaterial(kms, id, randomBytes(32), EXISTING))).toBe(
        `IncorrectKeyMaterialException: The key material was never imported into ${arn}.`,
      )
    })

    test.each<[KeySpec, KeyUsageType, () => Buffer]>([
      ['HMAC_256', 'GENERATE_VERIFY_MAC', () => randomBytes(32)],
      ['ECC_NIST_P256', 'SIGN_VERIFY', () => pkcs8(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey)],
    ])('a key of %s, %s has one for ever', async (KeySpec, KeyUsage, make) => {
      const key = await makeExternal({ KeySpec, KeyUsage })
      const material = make()
      await importMaterial(kms, key.id, material)
      expect(await refusal(importMaterial(kms, key.id, make()))).toMatch('IncorrectKeyMaterialException: ')
      await kms.deleteImportedKeyMaterial({ KeyId: key.id })
      await expectState(key, 'PendingImport')
      expect(await refusal(importMaterial(kms, key.id, make()))).toMatch('IncorrectKeyMaterialException: ')
      expect((await importMaterial(kms, key.id, material)).KeyMaterialId).toBeUndefined()
      await expectState(key, 'Enabled')
      expect(await refusal(importMaterial(kms, key.id, material, NEW))).toMatch('ValidationException: ')
    })
  })

  test('equal bytes in two keys do not make their ciphertexts interchangeable (2)', async () => {
    const material = randomBytes(32)
    const [one, other] = [await makeExternal(), await makeExternal()]
    for (const { id } of [one, other]) await importMaterial(kms, id, material)
    const { CiphertextBlob } = await kms.encrypt({ KeyId: one.id, Plaintext })
    expect(await refusal(kms.decrypt({ CiphertextBlob, KeyId: other.id }))).toMatch('IncorrectKeyException')
    const [kidOne, kidOther] = [kidOf(one.id), kidOf(other.id)]
    const forged = Buffer.from(CiphertextBlob!)
    expect(forged.subarray(5, 22)).toEqual(kidOne)
    kidOther.copy(forged, 5)
    expect(await refusal(kms.decrypt({ CiphertextBlob: forged }))).toBe(INVALID_CIPHERTEXT)
    const mid = createHmac('sha256', material).update(importedMidInput(kidOther, 'SYMMETRIC_DEFAULT')).digest()
    mid.copy(forged, 22)
    expect(await refusal(kms.decrypt({ CiphertextBlob: forged }))).toBe(INVALID_CIPHERTEXT)
  })

  describe('expiry', () => {
    const soon = () => new Date(Date.now() + 60_000)
    test.each<[string, object, string]>([
      ['no ValidTo', { ExpirationModel: 'KEY_MATERIAL_EXPIRES' }, 'ValidTo is required'],
      ['a ValidTo without expiry', { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE', ValidTo: soon() }, 'not allowed'],
      ['a ValidTo in the past', { ValidTo: new Date(Date.now() - 1_000) }, 'ValidTo must be'],
      ['a ValidTo after a year', { ValidTo: new Date(Date.now() + 366 * 86_400_000) }, 'ValidTo must be'],
    ])('%s is refused', async (_, terms, message) => {
      const { id: KeyId } = await makeExternal()
      const sent = { KeyId, ImportToken: bytes(49), EncryptedKeyMaterial: bytes(256), ...terms }
      const said = await refusal(kms.importKeyMaterial(sent))
      expect(said).toMatch('ValidationException: ')
      expect(said).toMatch(message)
    })

    test('shows in the metadata, and is changed by importing again', async () => {
      const { id: KeyId } = await makeExternal()
      const material = randomBytes(32)
      const ValidTo = new Date(Math.floor(Date.now() / 1_000) * 1_000 + 3_600_000)
      await importMaterial(kms, KeyId, material, { ValidTo })
      const metadata = async () => (await kms.describeKey({ KeyId })).KeyMetadata
      expect(await metadata()).toMatchObject({ ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo })
      await importMaterial(kms, KeyId, material)
      expect(await metadata()).toMatchObject({ ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' })
      expect((await metadata())!.ValidTo).toBeUndefined()
    })
  })

  test.each<[string, object, string]>([
    ['no token', { ImportToken: undefined }, invalid('importToken', null, 'not be null')],
    ['no material', { EncryptedKeyMaterial: undefined }, invalid('encryptedKeyMaterial', null, 'not be null')],
    [
      'a new material by id',
      { ImportType: 'NEW_KEY_MATERIAL', KeyMaterialId: 'a'.repeat(64) },
      'ValidationException: KeyMaterialId is not allowed when ImportType is NEW_KEY_MATERIAL.',
    ],
  ])('refuses %s', async (_, members, expected) => {
    const { id: KeyId } = await makeExternal()
    const sent = { KeyId, ImportToken: bytes(49), EncryptedKeyMaterial: bytes(256), ...members }
    expect(await refusal(kms.importKeyMaterial(sent))).toBe(expected)
  })
})
