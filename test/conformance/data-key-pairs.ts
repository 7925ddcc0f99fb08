/** The tests that both operations that make data key pairs share. */
import { createPrivateKey, createPublicKey } from 'node:crypto'
import type {
  DataKeyPairSpec,
  GenerateDataKeyPairRequest,
  GenerateDataKeyPairWithoutPlaintextResponse,
} from '@aws-sdk/client-kms'
import { expect, test } from '@jest/globals'
import { INVALID_CIPHERTEXT, kms, refusal } from './kms.ts'
import { ONLY_ENABLED, obeysKeyState, standingKey, takesDryRun, takesKeyId } from './rules.ts'

export const PAIR_SPECS: [spec: DataKeyPairSpec, details: object][] = [
  ['RSA_2048', { modulusLength: 2_048 }],
  ['RSA_3072', { modulusLength: 3_072 }],
  ['ECC_NIST_P256', { namedCurve: 'prime256v1' }],
  ['ECC_NIST_P384', { namedCurve: 'secp384r1' }],
  ['ECC_NIST_P521', { namedCurve: 'secp521r1' }],
  ['ECC_SECG_P256K1', { namedCurve: 'secp256k1' }],
  ['ECC_NIST_EDWARDS25519', {}],
]

type Generate = (
  request: Omit<GenerateDataKeyPairRequest, 'Recipient'>,
) => Promise<GenerateDataKeyPairWithoutPlaintextResponse>

export function generatesPairs(action: string, generate: Generate): void {
  const KeyPairSpec = 'ECC_NIST_P256'
  takesKeyId(KeyId => generate({ KeyId, KeyPairSpec }), { action, aliases: true })
  obeysKeyState(({ id }) => generate({ KeyId: id, KeyPairSpec }), ONLY_ENABLED)
  takesDryRun(members => generate({ KeyId: undefined, KeyPairSpec, ...members }))

  test.each(PAIR_SPECS)('%s: the ciphertext holds the private half, as PKCS #8', async (spec, details) => {
    const key = await standingKey()
    const EncryptionContext = { purpose: 'pairs' }
    const made = await generate({ KeyId: key.id, KeyPairSpec: spec, EncryptionContext })
    const CiphertextBlob = made.PrivateKeyCiphertextBlob
    const { Plaintext, KeyMaterialId } = await kms.decrypt({ CiphertextBlob, EncryptionContext })
    const privateKey = createPrivateKey({ key: Buffer.from(Plaintext!), format: 'der', type: 'pkcs8' })
    expect(privateKey.asymmetricKeyDetails).toMatchObject(details)
    const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
    expect(Buffer.from(made.PublicKey!)).toEqual(publicKey)
    expect(made).toMatchObject({ KeyId: key.arn, KeyPairSpec: spec, KeyMaterialId })
    expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe(INVALID_CIPHERTEXT)
  })

  test('SM2 needs mechanisms that are not there', async () => {
    const { id } = await standingKey()
    expect(await refusal(generate({ KeyId: id, KeyPairSpec: 'SM2' }))).toBe(
      'UnsupportedOperationException: KeySpec SM2 needs a mechanism that PKCS#11 does not have.',
    )
  })
}
