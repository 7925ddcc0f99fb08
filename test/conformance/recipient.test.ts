/** Recipient (Nitro attestation) is refused wherever it may stand, as kms-api.md section 3 has it where nothing attests. */
import { expect, test } from '@jest/globals'
import { registry } from '../../src/operations/registry.ts'
import { bytes, encrypt, type Kind, kms, refusal } from './kms.ts'
import { standingKey } from './rules.ts'

interface Recipient {
  KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256'
  AttestationDocument: Uint8Array
}

/** Requests that would succeed without a Recipient. */
const CALLS: Record<string, (Recipient: Recipient) => Promise<unknown>> = {
  Decrypt: async Recipient => kms.decrypt({ CiphertextBlob: await encrypt(await standingKey()), Recipient }),
  DeriveSharedSecret: async Recipient => {
    const KeyId = await idOf({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' })
    const { PublicKey } = await kms.getPublicKey({ KeyId })
    return kms.deriveSharedSecret({ KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey, Recipient })
  },
  GenerateDataKey: async Recipient => kms.generateDataKey({ KeyId: await idOf(), KeySpec: 'AES_256', Recipient }),
  GenerateDataKeyPair: async Recipient =>
    kms.generateDataKeyPair({ KeyId: await idOf(), KeyPairSpec: 'ECC_NIST_P256', Recipient }),
  GenerateRandom: async Recipient => kms.generateRandom({ NumberOfBytes: 32, Recipient }),
}

async function idOf(kind: Kind = {}): Promise<string> {
  return (await standingKey(kind)).id
}

const recipient = (documentBytes: number): Recipient => ({
  KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256',
  AttestationDocument: bytes(documentBytes),
})

test('every operation that takes one is here', () => {
  const takers = [...registry.values()].filter(({ input }) => 'Recipient' in input.shape)
  expect(takers.map(({ name }) => name).sort()).toEqual(Object.keys(CALLS))
})

test.each(Object.entries(CALLS))('%s refuses a Recipient', async (_, call) => {
  const refused = 'UnsupportedOperationException: Recipient is not supported: there is no attestation here.'
  expect(await refusal(call(recipient(262_144)))).toBe(refused)
  expect(await refusal(call(recipient(262_145)))).toMatch(/^ValidationException: .*'recipient\.attestationDocument'/)
})
