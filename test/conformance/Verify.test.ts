import { hash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { ED25519_SIGNER, hashOf, P256_SIGNER, SIGNATURES, signer } from './key-pairs.ts'
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

  test('ED25519_SHA_512: what Sign made, and nothing else', async () => {
    const key = await standingKey(ED25519_SIGNER)
    const sent = { KeyId: key.id, Message, SigningAlgorithm: 'ED25519_SHA_512' } as const
    const { Signature } = await kms.sign(sent)
    expect(await answer(kms.verify({ ...sent, Signature }))).toMatchObject({ KeyId: key.arn, SignatureValid: true })
    for (const at of [0, 31, 32, 63]) {
      const altered = Uint8Array.from(Signature!)
      altered[at]! ^= 1
      expect(await refusal(kms.verify({ ...sent, Signature: altered }))).toBe(INVALID_SIGNATURE)
    }
    expect(await refusal(kms.verify({ ...sent, Message: text('attack at dusk'), Signature }))).toBe(INVALID_SIGNATURE)
    for (const length of [1, 63, 65]) {
      expect(await refusal(kms.verify({ ...sent, Signature: bytes(length) }))).toBe(INVALID_SIGNATURE)
    }
    const digest = { MessageType: 'DIGEST', Message: bytes(64), SigningAlgorithm: 'ED25519_PH_SHA_512' } as const
    expect(await refusal(kms.verify({ ...sent, ...digest, Signature }))).toBe(
      'UnsupportedOperationException: ED25519_PH_SHA_512 needs CKM_EDDSA with the phFlag of CK_EDDSA_PARAMS, which no token of this Region has.',
    )
  })

  test("refuses another key's signature", async () => {
    const [key, other] = [await standingKey(P256_SIGNER), await makeKey(kms, P256_SIGNER)]
    const sent = { Message, SigningAlgorithm: 'ECDSA_SHA_256' } as const
    const { Signature } = await kms.sign({ KeyId: other.id, ...sent })
    expect(await refusal(kms.verify({ KeyId: key.id, ...sent, Signature }))).toBe(INVALID_SIGNATURE)
  })
})
