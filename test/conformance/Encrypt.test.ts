import { EncryptionAlgorithmSpec, type EncryptRequest } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { answer, BLOB, bytes, DRY_RUN, encrypt, invalid, kms, refusal, text } from './kms.ts'
import { ONLY_ENABLED, obeysKeyState, standingKey, takesDryRun, takesKeyId } from './rules.ts'

const Plaintext = text('attack at dawn')

describe('Encrypt', () => {
  takesKeyId(KeyId => kms.encrypt({ KeyId, Plaintext }), { action: 'Encrypt', aliases: true })
  obeysKeyState(({ id }) => kms.encrypt({ KeyId: id, Plaintext }), ONLY_ENABLED)
  takesDryRun(members => kms.encrypt({ KeyId: undefined, Plaintext, ...members }))

  test('returns ciphertext, key and algorithm, and no key material id', async () => {
    const key = await standingKey()
    expect(await answer(kms.encrypt({ KeyId: key.id, Plaintext }))).toStrictEqual({
      CiphertextBlob: BLOB,
      KeyId: key.arn,
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    })
  })

  test.each([1, 15, 16, 17, 4_095, 4_096])('takes %d bytes, and they come back', async length => {
    const { id } = await standingKey()
    const sent = bytes(length)
    const { CiphertextBlob } = await kms.encrypt({
      KeyId: id,
      Plaintext: sent,
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    })
    expect(CiphertextBlob!.length).toBeGreaterThan(length)
    expect(CiphertextBlob!.length).toBeLessThanOrEqual(6_144)
    expect((await kms.decrypt({ CiphertextBlob })).Plaintext).toEqual(sent)
  })

  test('the same plaintext gives another ciphertext every time', async () => {
    const key = await standingKey()
    const ciphertexts = await Promise.all(Array.from({ length: 20 }, () => encrypt(key)))
    expect(new Set(ciphertexts.map(blob => Buffer.from(blob).toString('hex'))).size).toBe(20)
  })

  const incompatible = (algorithm: string) =>
    `InvalidKeyUsageException: Algorithm ${algorithm} is incompatible with key spec SYMMETRIC_DEFAULT.`
  test.each<[what: string, members: Partial<EncryptRequest>, expected: string]>([
    ['no plaintext', { Plaintext: undefined }, invalid('plaintext', null, 'not be null')],
    [
      'an empty plaintext',
      { Plaintext: bytes(0) },
      invalid('plaintext', undefined, 'have length greater than or equal to 1'),
    ],
    [
      '4,097 bytes',
      { Plaintext: bytes(4_097) },
      invalid('plaintext', undefined, 'have length less than or equal to 4096'),
    ],
    ['RSAES_OAEP_SHA_1', { EncryptionAlgorithm: 'RSAES_OAEP_SHA_1' }, incompatible('RSAES_OAEP_SHA_1')],
    ['RSAES_OAEP_SHA_256', { EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' }, incompatible('RSAES_OAEP_SHA_256')],
    ['SM2PKE', { EncryptionAlgorithm: 'SM2PKE' }, incompatible('SM2PKE')],
  ])('refuses %s, in a dry run too', async (_, members, expected) => {
    const { id } = await standingKey()
    for (const DryRun of [false, true]) {
      expect(await refusal(kms.encrypt({ KeyId: id, Plaintext, DryRun, ...members }))).toBe(expected)
    }
  })

  test('refuses an unknown algorithm and lists the known', async () => {
    const { id } = await standingKey()
    const call = kms.encrypt({ KeyId: id, Plaintext, EncryptionAlgorithm: 'ROT13' as EncryptionAlgorithmSpec })
    const [said, listed] = (await refusal(call)).split(/: \[|\]$/)
    expect(`${said}:`).toBe(invalid('encryptionAlgorithm', 'ROT13', 'satisfy enum value set:'))
    expect(listed!.split(', ').sort()).toEqual(Object.values(EncryptionAlgorithmSpec).sort())
  })

  const tooMuch = invalid('encryptionContext', undefined, 'have length less than or equal to 8192')
  test.each<[what: string, context: Record<string, string>, expected: string | undefined]>([
    ['8,192 bytes', { key: 'v'.repeat(8_189) }, undefined],
    ['8,193 bytes', { key: 'v'.repeat(8_190) }, tooMuch],
    ['8,194 bytes in 4,097 characters', { é: 'é'.repeat(4_096) }, tooMuch],
    ['1,000 pairs', Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [`${at}`, 'v'])), undefined],
  ])('an encryption context of %s', async (_, EncryptionContext, expected) => {
    const { id } = await standingKey()
    expect(await refusal(kms.encrypt({ KeyId: id, Plaintext, EncryptionContext, DryRun: true }))).toBe(
      expected ?? DRY_RUN,
    )
  })
})
