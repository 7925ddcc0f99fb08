import { describe, expect, test } from '@jest/globals'
import { USING_OPERATIONS } from '../../src/model/key-use.ts'
import { registry } from '../../src/operations/registry.ts'
import { answer, bytes, encrypt, type Key, type Kind, kms, makeKey, refusal, text, UUID } from './kms.ts'
import { ANY_STATE, obeysKeyState, takesKeyId } from './rules.ts'

const P256 = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' } as const
const AGREEMENT = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' } as const
const MAC = { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' } as const
const ECDSA = { Message: text('x'), SigningAlgorithm: 'ECDSA_SHA_256' } as const
const HMAC = { Message: text('x'), MacAlgorithm: 'HMAC_SHA_256' } as const

type Call = (key: Key) => Promise<{ $metadata: { requestId?: string | undefined } }>

/** A successful call of every operation that uses a key. */
const CALLS: Record<string, readonly [kind: Kind, call: Call]> = {
  Encrypt: [{}, ({ id: KeyId }) => kms.encrypt({ KeyId, Plaintext: text('x') })],
  Decrypt: [{}, async key => kms.decrypt({ CiphertextBlob: await encrypt(key) })],
  GenerateDataKey: [{}, ({ id: KeyId }) => kms.generateDataKey({ KeyId, KeySpec: 'AES_256' })],
  GenerateDataKeyWithoutPlaintext: [
    {},
    ({ id: KeyId }) => kms.generateDataKeyWithoutPlaintext({ KeyId, KeySpec: 'AES_256' }),
  ],
  GenerateDataKeyPair: [{}, ({ id: KeyId }) => kms.generateDataKeyPair({ KeyId, KeyPairSpec: 'ECC_NIST_P256' })],
  GenerateDataKeyPairWithoutPlaintext: [
    {},
    ({ id: KeyId }) => kms.generateDataKeyPairWithoutPlaintext({ KeyId, KeyPairSpec: 'ECC_NIST_P256' }),
  ],
  ReEncrypt: [
    {},
    async key => kms.reEncrypt({ CiphertextBlob: await encrypt(key), DestinationKeyId: (await makeKey()).id }),
  ],
  Sign: [P256, ({ id: KeyId }) => kms.sign({ KeyId, ...ECDSA })],
  Verify: [
    P256,
    async ({ id: KeyId }) =>
      kms.verify({ KeyId, ...ECDSA, Signature: (await kms.sign({ KeyId, ...ECDSA })).Signature }),
  ],
  GenerateMac: [MAC, ({ id: KeyId }) => kms.generateMac({ KeyId, ...HMAC })],
  VerifyMac: [
    MAC,
    async ({ id: KeyId }) => kms.verifyMac({ KeyId, ...HMAC, Mac: (await kms.generateMac({ KeyId, ...HMAC })).Mac }),
  ],
  DeriveSharedSecret: [
    AGREEMENT,
    async ({ id: KeyId }) => {
      const { PublicKey } = await kms.getPublicKey({ KeyId })
      return kms.deriveSharedSecret({ KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey })
    },
  ],
}

const UNUSED = { KeyLastUsage: {} }

async function lastUse({ id }: Key) {
  return (await kms.getKeyLastUsage({ KeyId: id })).KeyLastUsage
}

describe('GetKeyLastUsage', () => {
  // Its KeyId is answered as it was asked, and is looked at below.
  takesKeyId(async KeyId => ({ ...(await kms.getKeyLastUsage({ KeyId })), KeyId: undefined }), {
    action: 'GetKeyLastUsage',
  })
  obeysKeyState(({ id }) => kms.getKeyLastUsage({ KeyId: id }), ANY_STATE)

  test.each(['id', 'arn'] as const)('of a key that was never used, named by its %s', async form => {
    const key = await makeKey()
    const { CreationDate } = (await kms.describeKey({ KeyId: key.id })).KeyMetadata!
    expect(await answer(kms.getKeyLastUsage({ KeyId: key[form] }))).toStrictEqual({
      ...UNUSED,
      KeyId: key[form],
      TrackingStartDate: CreationDate,
      KeyCreationDate: CreationDate,
    })
  })

  /** ML-KEM keys are none of SoftHSM's. */
  const OF_OTHER_TOKENS: readonly string[] = ['Decapsulate', 'Encapsulate']

  test('every operation that uses a key, and is served, is tried here', () => {
    const served = USING_OPERATIONS.filter(name => registry.has(name) && !OF_OTHER_TOKENS.includes(name))
    expect(Object.keys(CALLS).sort()).toEqual(served)
  })

  test.each(Object.entries(CALLS))('names %s and its request', async (Operation, [kind, call]) => {
    const key = await makeKey(kms, kind)
    const { $metadata } = await call(key)
    const { Timestamp, ...use } = (await lastUse(key))!
    expect(use).toStrictEqual({
      ...{ Operation, KmsRequestId: $metadata.requestId },
      // LookupEvents.test.ts follows it to the event.
      CloudTrailEventId: expect.stringMatching(UUID),
    })
    expect(Timestamp!.getTime() % 1_000).toBe(0)
    const { CreationDate } = (await kms.describeKey({ KeyId: key.id })).KeyMetadata!
    expect(Timestamp!.getTime()).toBeGreaterThan(CreationDate!.getTime() - 1_000)
  })

  test('a ciphertext that moves uses the key that it leaves and the one that it comes to', async () => {
    const [source, destination] = [await makeKey(), await makeKey()]
    const CiphertextBlob = await encrypt(source)
    const { $metadata } = await kms.reEncrypt({ CiphertextBlob, DestinationKeyId: destination.id })
    const expected = { Operation: 'ReEncrypt', KmsRequestId: $metadata.requestId }
    expect([await lastUse(source), await lastUse(destination)]).toMatchObject([expected, expected])
  })

  test('what fails, what is dry and what is no use of the key leave no trace', async () => {
    const key = await makeKey()
    const KeyId = key.id
    await refusal(kms.encrypt({ KeyId, Plaintext: text('x'), DryRun: true }))
    await refusal(kms.encrypt({ KeyId, Plaintext: text('x'), EncryptionAlgorithm: 'RSAES_OAEP_SHA_1' }))
    await refusal(kms.decrypt({ KeyId, CiphertextBlob: bytes(200) }))
    await kms.describeKey({ KeyId })
    await kms.enableKeyRotation({ KeyId })
    await kms.rotateKeyOnDemand({ KeyId })
    expect(await lastUse(key)).toStrictEqual({})
    const signer = await makeKey(kms, P256)
    await refusal(kms.verify({ KeyId: signer.id, ...ECDSA, Signature: bytes(70) }))
    await kms.getPublicKey({ KeyId: signer.id })
    expect(await lastUse(signer)).toStrictEqual({})
  })
})
