import { hash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { hashOf, P256_SIGNER, SIGNATURES, signer } from './key-pairs.ts'
import { answer, bytes, disabled, kms, makeKey, pendingDeletion, putInState, refusal, text } from './kms.ts'
import { standingKey } from './rules.ts'

const Message = text('attack at dawn')
const INVALID_SIGNATURE = 'KMSInvalidSignatureException: UnknownError'

describe('Verify', () => {
  test.each([
    ['Disabled', disabled],
    ['PendingDeletion', pendingDeletion],
  ] as const)('refuses a key that is %s', async (state, expected) => {
    const key = await makeKey(kms, P256_SIGNER)
    const sent = { KeyId: key.id, Message, SigningAlgorithm: 'ECDSA_SHA_256' } as const
    const { Signature } = await kms.sign(sent)
    await putInState(key, state)
    expect(await refusal(kms.verify({ ...sent, Signature }))).toBe(expected(key))
  })

  test.each(SIGNATURES)('%s by %s: what Sign made, and nothing else', async (spec, SigningAlgorithm) => {
    const key = await standingKey(signer(spec))
    for (const [MessageType, signed] of [
      ['RAW', Message],
      ['DIGEST', hash(hashOf(SigningAlgorithm), Message, 'buffer')],
    ] as const) {
      const sent = { KeyId: key.id, Message: signed, MessageType, SigningAlgorithm }
      const { Signature } = await kms.sign(sent)
      expect(await answer(kms.verify({ ...sent, Signature }))).toStrictEqual({
        KeyId: key.arn,
        SignatureValid: true,
        SigningAlgorithm,
      })
      const altered = Uint8Array.from(Signature!)
      altered[altered.length - 1]! ^= 1
      expect(await refusal(kms.verify({ ...sent, Signature: altered }))).toBe(INVALID_SIGNATURE)
      const other = Uint8Array.from(signed)
      other[0]! ^= 1
      expect(await refusal(kms.verify({ ...sent, Message: other, Signature }))).toBe(INVALID_SIGNATURE)
      for (const length of [1, 8, 600]) {
        expect(await refusal(kms.verify({ ...sent, Signature: bytes(length) }))).toBe(INVALID_SIGNATURE)
      }
    }
  })

  test("refuses another key's signature", async () => {
    const [key, other] = [await standingKey(P256_SIGNER), await makeKey(kms, P256_SIGNER)]
    const sent = { Message, SigningAlgorithm: 'ECDSA_SHA_256' } as const
    const { Signature } = await kms.sign({ KeyId: other.id, ...sent })
    expect(await refusal(kms.verify({ KeyId: key.id, ...sent, Signature }))).toBe(INVALID_SIGNATURE)
  })
})
