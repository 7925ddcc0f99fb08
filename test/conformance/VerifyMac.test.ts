import { describe, expect, test } from '@jest/globals'
import { answer, bytes, kms, makeKey, refusal, text } from './kms.ts'
import { standingKey } from './rules.ts'

const Message = text('attack at dawn')
const INVALID_MAC = 'KMSInvalidMacException: UnknownError'

describe('VerifyMac', () => {
  test.each([224, 256, 384, 512] as const)('HMAC_%d: what GenerateMac made, and nothing else', async bits => {
    const kind = { KeySpec: `HMAC_${bits}`, KeyUsage: 'GENERATE_VERIFY_MAC' } as const
    const key = await standingKey(kind)
    const sent = { KeyId: key.id, Message, MacAlgorithm: `HMAC_SHA_${bits}` } as const
    const { Mac } = await kms.generateMac(sent)
    expect(await answer(kms.verifyMac({ ...sent, Mac }))).toStrictEqual({
      KeyId: key.arn,
      MacValid: true,
      MacAlgorithm: `HMAC_SHA_${bits}`,
    })
    for (let at = 0; at < Mac!.length; at += 7) {
      const altered = Uint8Array.from(Mac!)
      altered[at]! ^= 0x80
      expect(await refusal(kms.verifyMac({ ...sent, Mac: altered }))).toBe(INVALID_MAC)
    }
    for (const wrong of [Mac!.subarray(0, -1), bytes(1), Buffer.concat([Mac!, bytes(1)])]) {
      expect(await refusal(kms.verifyMac({ ...sent, Mac: wrong }))).toBe(INVALID_MAC)
    }
    const other = await makeKey(kms, kind)
    expect(await refusal(kms.verifyMac({ ...sent, KeyId: other.id, Mac }))).toBe(INVALID_MAC)
  })
})
