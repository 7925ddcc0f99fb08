import { createHmac } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { answer, BLOB, bytes, invalid, kms, refusal, text } from './kms.ts'
import { ONLY_ENABLED, obeysKeyState, standingKey, takesDryRun, takesKeyId } from './rules.ts'

const Message = text('attack at dawn')
const HMAC_256 = { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' } as const
const request = { Message, MacAlgorithm: 'HMAC_SHA_256' } as const

describe('GenerateMac', () => {
  takesKeyId(KeyId => kms.generateMac({ KeyId, ...request }), { action: 'GenerateMac', aliases: true, kind: HMAC_256 })
  obeysKeyState(({ id }) => kms.generateMac({ KeyId: id, ...request }), ONLY_ENABLED, HMAC_256)
  takesDryRun(members => kms.generateMac({ KeyId: undefined, ...request, ...members }), HMAC_256)

  test.each([224, 256, 384, 512] as const)('HMAC_%d: a whole MAC, and the same again', async bits => {
    const key = await standingKey({ KeySpec: `HMAC_${bits}`, KeyUsage: 'GENERATE_VERIFY_MAC' })
    const sent = { KeyId: key.id, Message, MacAlgorithm: `HMAC_SHA_${bits}` } as const
    const made = await answer(kms.generateMac(sent))
    expect(made).toStrictEqual({ Mac: BLOB, MacAlgorithm: `HMAC_SHA_${bits}`, KeyId: key.arn })
    expect(made.Mac!.length).toBe(bits / 8)
    expect((await kms.generateMac(sent)).Mac).toEqual(made.Mac)
    expect(Buffer.from(made.Mac!)).not.toEqual(createHmac(`sha${bits}`, '').update(Message).digest())
  })

  test('refuses the algorithm of another key', async () => {
    const { id } = await standingKey(HMAC_256)
    expect(await refusal(kms.generateMac({ KeyId: id, Message, MacAlgorithm: 'HMAC_SHA_512' }))).toBe(
      'InvalidKeyUsageException: Algorithm HMAC_SHA_512 is incompatible with key spec HMAC_256.',
    )
  })

  test('refuses 4,097 bytes', async () => {
    const { id } = await standingKey(HMAC_256)
    expect(await refusal(kms.generateMac({ KeyId: id, ...request, Message: bytes(4_097) }))).toBe(
      invalid('message', undefined, 'have length less than or equal to 4096'),
    )
  })

  test('refuses a key that encrypts', async () => {
    const key = await standingKey()
    expect(await refusal(kms.generateMac({ KeyId: key.id, ...request }))).toBe(
      `InvalidKeyUsageException: ${key.arn} key usage is ENCRYPT_DECRYPT which is not valid for GenerateMac.`,
    )
  })
})
