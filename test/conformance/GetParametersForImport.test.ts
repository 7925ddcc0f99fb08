import { createPublicKey } from 'node:crypto'
import type { AlgorithmSpec, KeySpec, KeyUsageType, WrappingKeySpec } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { EXTERNAL, makeExternal, originRefused } from './imports.ts'
import { answer, BLOB, invalid, kms, makeKey, pendingDeletion, putInState, refusal } from './kms.ts'
import { takesKeyId } from './rules.ts'

const UNDER = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' } as const

describe('GetParametersForImport', () => {
  takesKeyId(KeyId => kms.getParametersForImport({ KeyId, ...UNDER }), {
    action: 'GetParametersForImport',
    kind: EXTERNAL,
  })

  test.each([
    ['RSA_2048', 2_048],
    ['RSA_3072', 3_072],
    ['RSA_4096', 4_096],
  ] as const)('returns a public key of %s, and a token that is good for 24 hours', async (WrappingKeySpec, bits) => {
    const key = await makeExternal()
    const now = Date.now()
    const output = await answer(
      kms.getParametersForImport({ KeyId: key.id, WrappingAlgorithm: 'RSAES_OAEP_SHA_1', WrappingKeySpec }),
    )
    expect(output).toStrictEqual({
      ...{ KeyId: key.arn, ImportToken: BLOB, PublicKey: BLOB, ParametersValidTo: expect.any(Date) },
    })
    const spki = createPublicKey({ key: Buffer.from(output.PublicKey!), format: 'der', type: 'spki' })
    expect(spki.asymmetricKeyDetails).toMatchObject({ modulusLength: bits, publicExponent: 65_537n })
    const hours = (output.ParametersValidTo!.getTime() - now) / 3_600_000
    expect(hours).toBeGreaterThan(23.9)
    expect(hours).toBeLessThan(24.1)
  })

  test('makes another wrapping key each time', async () => {
    const { id } = await makeExternal()
    const parameters = () => kms.getParametersForImport({ KeyId: id, ...UNDER })
    const [first, second] = [await parameters(), await parameters()]
    expect(Buffer.from(first.PublicKey!)).not.toEqual(Buffer.from(second.PublicKey!))
    expect(Buffer.from(first.ImportToken!)).not.toEqual(Buffer.from(second.ImportToken!))
  })

  test('refuses a key whose material was generated here, whatever its state', async () => {
    const key = await makeKey()
    expect(await refusal(kms.getParametersForImport({ KeyId: key.id, ...UNDER }))).toBe(originRefused(key))
    await putInState(key, 'PendingDeletion')
    expect(await refusal(kms.getParametersForImport({ KeyId: key.id, ...UNDER }))).toBe(originRefused(key))
  })

  test('refuses a key that is pending deletion', async () => {
    const key = await makeExternal()
    await putInState(key, 'PendingDeletion')
    expect(await refusal(kms.getParametersForImport({ KeyId: key.id, ...UNDER }))).toBe(pendingDeletion(key))
  })

  const refused: [KeySpec, KeyUsageType, AlgorithmSpec, WrappingKeySpec, string][] = [
    ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', 'RSAES_PKCS1_V1_5', 'RSA_2048', 'UnsupportedOperationException: '],
    ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', 'SM2PKE', 'SM2', 'UnsupportedOperationException: '],
    ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', 'RSA_AES_KEY_WRAP_SHA_256', 'RSA_2048', 'ValidationException: '],
    ['HMAC_256', 'GENERATE_VERIFY_MAC', 'RSA_AES_KEY_WRAP_SHA_1', 'RSA_2048', 'ValidationException: '],
    ['RSA_2048', 'SIGN_VERIFY', 'RSAES_OAEP_SHA_256', 'RSA_4096', 'ValidationException: '],
    ['ECC_NIST_P521', 'SIGN_VERIFY', 'RSAES_OAEP_SHA_1', 'RSA_2048', 'ValidationException: '],
  ]
  test.each(refused)('refuses material of %s, %s by %s under %s', async (KeySpec, KeyUsage, algorithm, spec, code) => {
    const { id } = await makeExternal({ KeySpec, KeyUsage })
    const call = kms.getParametersForImport({ KeyId: id, WrappingAlgorithm: algorithm, WrappingKeySpec: spec })
    expect(await refusal(call)).toMatch(code)
  })

  test('wants both members', async () => {
    const { id } = await makeExternal()
    expect(await refusal(kms.getParametersForImport({ KeyId: id, ...UNDER, WrappingAlgorithm: undefined }))).toBe(
      invalid('wrappingAlgorithm', null, 'not be null'),
    )
    expect(await refusal(kms.getParametersForImport({ KeyId: id, ...UNDER, WrappingKeySpec: undefined }))).toBe(
      invalid('wrappingKeySpec', null, 'not be null'),
    )
  })

  test('has 25 wrapping keys of one KMS key at a time, and no more', async () => {
    const { id } = await makeExternal()
    const parameters = () => kms.getParametersForImport({ KeyId: id, ...UNDER })
    for (let made = 0; made < 25; made += 1) await parameters()
    expect(await refusal(parameters())).toMatch('LimitExceededException: ')
  })
})
