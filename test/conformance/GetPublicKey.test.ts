import { describe, expect, test } from '@jest/globals'
import { publicKeyOf, signer } from './key-pairs.ts'
import { answer, BLOB, type Kind, kms, makeKey, refusal } from './kms.ts'
import { ONLY_ENABLED, obeysKeyState, standingKey, takesGrantTokens, takesKeyId } from './rules.ts'

const P256 = signer('ECC_NIST_P256')

describe('GetPublicKey', () => {
  takesKeyId(KeyId => kms.getPublicKey({ KeyId }), { action: 'GetPublicKey', aliases: true, kind: P256 })
  obeysKeyState(({ id }) => kms.getPublicKey({ KeyId: id }), ONLY_ENABLED, P256)
  takesGrantTokens(({ KeyId, GrantTokens }) => kms.getPublicKey({ KeyId, GrantTokens }), P256)

  test.each<[kind: Kind, details: object, algorithms: object]>([
    [
      { KeySpec: 'RSA_3072', KeyUsage: 'ENCRYPT_DECRYPT' },
      { modulusLength: 3_072, publicExponent: 65_537n },
      { EncryptionAlgorithms: ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'] },
    ],
    [signer('ECC_SECG_P256K1'), { namedCurve: 'secp256k1' }, { SigningAlgorithms: ['ECDSA_SHA_256'] }],
    [signer('ECC_NIST_EDWARDS25519'), {}, { SigningAlgorithms: ['ED25519_SHA_512', 'ED25519_PH_SHA_512'] }],
    [
      { KeySpec: 'ECC_NIST_P384', KeyUsage: 'KEY_AGREEMENT' },
      { namedCurve: 'secp384r1' },
      { KeyAgreementAlgorithms: ['ECDH'] },
    ],
  ])('of %j', async (kind, details, algorithms) => {
    const key = await makeKey(kms, kind)
    expect(await answer(kms.getPublicKey({ KeyId: key.id }))).toStrictEqual({
      KeyId: key.arn,
      PublicKey: BLOB,
      // The old name of the member stops at older specs.
      ...(kind.KeySpec === 'ECC_NIST_EDWARDS25519' ? {} : { CustomerMasterKeySpec: kind.KeySpec }),
      KeySpec: kind.KeySpec,
      KeyUsage: kind.KeyUsage,
      ...algorithms,
    })
    expect((await publicKeyOf(key)).asymmetricKeyDetails).toMatchObject(details)
  })

  test.each([
    ['SYMMETRIC_DEFAULT', {}],
    ['HMAC_256', { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }],
  ] as const)('%s has none', async (spec, kind) => {
    const key = await standingKey(kind)
    expect(await refusal(kms.getPublicKey({ KeyId: key.id }))).toBe(
      `UnsupportedOperationException: ${key.arn} is of KeySpec ${spec} and has no public key.`,
    )
  })
})
