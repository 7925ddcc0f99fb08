import type { ReEncryptRequest } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import {
  answer,
  BLOB,
  bytes,
  DRY_RUN,
  disabled,
  encrypt,
  INVALID_CIPHERTEXT,
  invalid,
  kms,
  MATERIAL_ID,
  makeKey,
  putInState,
  refusal,
  text,
} from './kms.ts'
import { ONLY_ENABLED, obeysKeyState, standingKey, takesDryRun, takesKeyId } from './rules.ts'

const destination = async () => (await standingKey()).id

describe('ReEncrypt', () => {
  takesKeyId(
    async (SourceKeyId, CiphertextBlob) =>
      kms.reEncrypt({ SourceKeyId, CiphertextBlob, DestinationKeyId: await destination() }),
    { action: 'ReEncryptFrom', member: 'sourceKeyId', aliases: true, required: false },
  )
  takesKeyId((DestinationKeyId, CiphertextBlob) => kms.reEncrypt({ DestinationKeyId, CiphertextBlob }), {
    action: 'ReEncryptTo',
    member: 'destinationKeyId',
    aliases: true,
  })
  describe('as source', () => {
    obeysKeyState(
      async (_, CiphertextBlob) => kms.reEncrypt({ CiphertextBlob, DestinationKeyId: await destination() }),
      ONLY_ENABLED,
    )
  })
  describe('as destination', () => {
    obeysKeyState(
      async ({ id }) => kms.reEncrypt({ CiphertextBlob: await encrypt(await standingKey()), DestinationKeyId: id }),
      ONLY_ENABLED,
    )
  })
  takesDryRun(({ KeyId, ...members }, CiphertextBlob) =>
    kms.reEncrypt({ CiphertextBlob, SourceKeyId: KeyId, DestinationKeyId: KeyId, ...members }),
  )

  test('moves a ciphertext to another key and context, and returns both keys with their materials', async () => {
    const [source, target] = [await makeKey(), await makeKey()]
    const [from, to] = [{ stage: 'one' }, { stage: 'two' }]
    const output = await answer(
      kms.reEncrypt({
        CiphertextBlob: await encrypt(source, from),
        SourceEncryptionContext: from,
        DestinationKeyId: target.id,
        DestinationEncryptionContext: to,
      }),
    )
    expect(output).toStrictEqual({
      CiphertextBlob: BLOB,
      SourceKeyId: source.arn,
      KeyId: target.arn,
      SourceEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      DestinationEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      SourceKeyMaterialId: MATERIAL_ID,
      DestinationKeyMaterialId: MATERIAL_ID,
    })
    const { CiphertextBlob } = output
    const decrypted = await kms.decrypt({ CiphertextBlob, EncryptionContext: to })
    expect(decrypted).toMatchObject({
      KeyId: target.arn,
      Plaintext: text('attack at dawn'),
      KeyMaterialId: output.DestinationKeyMaterialId,
    })
    expect(await refusal(kms.decrypt({ CiphertextBlob, EncryptionContext: from }))).toBe(INVALID_CIPHERTEXT)
  })

  test('under the same key it changes the context', async () => {
    const key = await standingKey()
    const { CiphertextBlob, SourceKeyMaterialId, DestinationKeyMaterialId } = await kms.reEncrypt({
      CiphertextBlob: await encrypt(key),
      DestinationKeyId: key.arn,
      DestinationEncryptionContext: { stage: 'two' },
    })
    expect(SourceKeyMaterialId).toBe(DestinationKeyMaterialId)
    const { Plaintext } = await kms.decrypt({ CiphertextBlob, EncryptionContext: { stage: 'two' } })
    expect(Plaintext).toEqual(text('attack at dawn'))
  })

  test.each([1, 4_096])('moves %d bytes', async length => {
    const { id } = await standingKey()
    const { CiphertextBlob: before } = await kms.encrypt({ KeyId: id, Plaintext: bytes(length) })
    const { CiphertextBlob } = await kms.reEncrypt({ CiphertextBlob: before, DestinationKeyId: id })
    expect(CiphertextBlob!.length).toBe(before!.length)
    expect((await kms.decrypt({ CiphertextBlob })).Plaintext).toEqual(bytes(length))
  })

  const incompatible =
    'InvalidKeyUsageException: Algorithm RSAES_OAEP_SHA_1 is incompatible with key spec SYMMETRIC_DEFAULT.'
  test.each<[what: string, members: Partial<ReEncryptRequest>, expected: string]>([
    ['no ciphertext', { CiphertextBlob: undefined }, invalid('ciphertextBlob', null, 'not be null')],
    [
      '6,145 bytes',
      { CiphertextBlob: bytes(6_145) },
      invalid('ciphertextBlob', undefined, 'have length less than or equal to 6144'),
    ],
    ['what is no ciphertext', { CiphertextBlob: bytes(200) }, INVALID_CIPHERTEXT],
    ['a context that is not its own', { SourceEncryptionContext: { stage: 'one' } }, INVALID_CIPHERTEXT],
    ['a source algorithm of other keys', { SourceEncryptionAlgorithm: 'RSAES_OAEP_SHA_1' }, incompatible],
    ['a destination algorithm of other keys', { DestinationEncryptionAlgorithm: 'RSAES_OAEP_SHA_1' }, incompatible],
    [
      'a destination context that is too long',
      { DestinationEncryptionContext: { key: 'v'.repeat(8_190) } },
      invalid('destinationEncryptionContext', undefined, 'have length less than or equal to 8192'),
    ],
  ])('refuses %s, in a dry run too', async (_, members, expected) => {
    const key = await standingKey()
    const CiphertextBlob = await encrypt(key)
    for (const DryRun of [false, true]) {
      expect(await refusal(kms.reEncrypt({ CiphertextBlob, DestinationKeyId: key.id, DryRun, ...members }))).toBe(
        expected,
      )
    }
  })

  test('refuses a source key that did not make the ciphertext', async () => {
    const CiphertextBlob = await encrypt(await standingKey())
    const { id } = await makeKey()
    expect(await refusal(kms.reEncrypt({ CiphertextBlob, SourceKeyId: id, DestinationKeyId: id }))).toBe(
      'IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.',
    )
  })

  describe('DryRun with IGNORE_CIPHERTEXT', () => {
    const ignoring = { DryRun: true, DryRunModifiers: ['IGNORE_CIPHERTEXT' as const] }

    test.each([
      ['needs no ciphertext', undefined],
      ['does not look at one', bytes(9)],
    ])('%s', async (_, CiphertextBlob) => {
      const { id } = await standingKey()
      const call = kms.reEncrypt({ SourceKeyId: id, DestinationKeyId: id, CiphertextBlob, ...ignoring })
      expect(await refusal(call)).toBe(DRY_RUN)
    })

    test('needs to be told the source key', async () => {
      const { id } = await standingKey()
      expect(await refusal(kms.reEncrypt({ DestinationKeyId: id, ...ignoring }))).toBe(
        invalid('sourceKeyId', null, 'not be null'),
      )
    })

    test('is for dry runs only', async () => {
      const { id } = await standingKey()
      const { DryRunModifiers } = ignoring
      expect(await refusal(kms.reEncrypt({ SourceKeyId: id, DestinationKeyId: id, DryRunModifiers }))).toBe(
        'ValidationException: DryRunModifiers can be used only when DryRun is true.',
      )
    })

    test('refuses a key that the call would refuse, on either side', async () => {
      const key = await makeKey()
      await putInState(key, 'Disabled')
      const { id } = await standingKey()
      for (const [SourceKeyId, DestinationKeyId] of [
        [key.id, id],
        [id, key.id],
      ] as const) {
        expect(await refusal(kms.reEncrypt({ SourceKeyId, DestinationKeyId, ...ignoring }))).toBe(disabled(key))
      }
    })
  })
})
