/** Every wrapping algorithm with every kind of material: what was imported here does what node:crypto does with the same. */
import {
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import type { AlgorithmSpec, KeySpec, KeyUsageType, MacAlgorithmSpec, SigningAlgorithmSpec } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { importMaterial, OAEP, pkcs8, TWO_STEPS } from '../support/import.ts'
import { kms, text } from './kms.ts'

const Message = text('attack at dawn')

async function makeExternal(KeySpec: KeySpec, KeyUsage: KeyUsageType): Promise<string> {
  const { KeyMetadata } = await kms.createKey({ KeySpec, KeyUsage, Origin: 'EXTERNAL' })
  return KeyMetadata!.KeyId!
}

async function publicKeyOf(KeyId: string): Promise<KeyObject> {
  const { PublicKey } = await kms.getPublicKey({ KeyId })
  return createPublicKey({ key: Buffer.from(PublicKey!), format: 'der', type: 'spki' })
}

const RSA_BITS = { RSA_2048: 2_048, RSA_3072: 3_072, RSA_4096: 4_096 } as const
const CURVES = {
  ECC_NIST_P256: ['prime256v1', 'ECDSA_SHA_256', 'sha256'],
  ECC_NIST_P384: ['secp384r1', 'ECDSA_SHA_384', 'sha384'],
  ECC_NIST_P521: ['secp521r1', 'ECDSA_SHA_512', 'sha512'],
  ECC_SECG_P256K1: ['secp256k1', 'ECDSA_SHA_256', 'sha256'],
} as const

describe('imported', () => {
  test.each(OAEP)('symmetric key by %s: encrypts and decrypts', async algorithm => {
    const KeyId = await makeExternal('SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT')
    const { KeyMaterialId } = await importMaterial(kms, KeyId, randomBytes(32), {}, algorithm)
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Message })
    expect(await kms.decrypt({ CiphertextBlob })).toMatchObject({ Plaintext: Message, KeyMaterialId })
  })

  const macs: [spec: KeySpec, algorithm: MacAlgorithmSpec, hash: string, lengths: number[]][] = [
    ['HMAC_224', 'HMAC_SHA_224', 'sha224', [28, 31, 64, 128]],
    ['HMAC_256', 'HMAC_SHA_256', 'sha256', [32, 33, 63, 72]],
    ['HMAC_384', 'HMAC_SHA_384', 'sha384', [48, 49, 127, 128]],
    ['HMAC_512', 'HMAC_SHA_512', 'sha512', [64, 65, 100, 128]],
  ]
  test.each(macs.flatMap(row => OAEP.map(wrapping => [wrapping, ...row] as const)))(
    'HMAC key by %s, %s: makes the MACs of node:crypto, of every length',
    async (wrapping, spec, MacAlgorithm, hash, lengths) => {
      for (const length of lengths) {
        const KeyId = await makeExternal(spec, 'GENERATE_VERIFY_MAC')
        const material = randomBytes(length)
        await importMaterial(kms, KeyId, material, {}, wrapping)
        const { Mac } = await kms.generateMac({ KeyId, Message, MacAlgorithm })
        expect(Buffer.from(Mac!)).toEqual(createHmac(hash, material).update(Message).digest())
      }
    },
  )

  test.each(
    TWO_STEPS.flatMap(wrapping => Object.entries(RSA_BITS).map(([spec, bits]) => [wrapping, spec, bits] as const)),
  )('RSA key by %s, %s: signs, and decrypts', async (wrapping, spec, bits) => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: bits })
    const signer = await makeExternal(spec as KeySpec, 'SIGN_VERIFY')
    await importMaterial(kms, signer, pkcs8(privateKey), {}, wrapping)
    expect((await publicKeyOf(signer)).equals(publicKey)).toBe(true)
    const SigningAlgorithm = 'RSASSA_PKCS1_V1_5_SHA_256'
    const { Signature } = await kms.sign({ KeyId: signer, Message, SigningAlgorithm })
    expect(verify('sha256', Message, publicKey, Signature!)).toBe(true)
    const decrypter = await makeExternal(spec as KeySpec, 'ENCRYPT_DECRYPT')
    await importMaterial(kms, decrypter, pkcs8(privateKey), {}, wrapping)
    const CiphertextBlob = publicEncrypt({ key: publicKey, oaepHash: 'sha256' }, Message)
    const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256'
    expect(await kms.decrypt({ KeyId: decrypter, CiphertextBlob, EncryptionAlgorithm })).toMatchObject({
      Plaintext: Message,
    })
  })

  const curveCases = Object.entries(CURVES).flatMap(([spec, facts]) =>
    [...OAEP, ...TWO_STEPS]
      .filter(wrapping => spec !== 'ECC_NIST_P521' || wrapping.startsWith('RSA_'))
      .map(wrapping => [wrapping, spec, ...facts] as [AlgorithmSpec, KeySpec, string, SigningAlgorithmSpec, string]),
  )
  test.each(curveCases)('EC key by %s, %s: signs', async (wrapping, spec, namedCurve, SigningAlgorithm, hash) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve })
    const KeyId = await makeExternal(spec, 'SIGN_VERIFY')
    await importMaterial(kms, KeyId, pkcs8(privateKey), {}, wrapping)
    expect((await publicKeyOf(KeyId)).equals(publicKey)).toBe(true)
    const { Signature } = await kms.sign({ KeyId, Message, SigningAlgorithm })
    expect(verify(hash, Message, publicKey, Signature!)).toBe(true)
  })

  test.each([...OAEP, ...TWO_STEPS])('Ed25519 key by %s: makes the signatures of node:crypto', async wrapping => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const KeyId = await makeExternal('ECC_NIST_EDWARDS25519', 'SIGN_VERIFY')
    await importMaterial(kms, KeyId, pkcs8(privateKey), {}, wrapping)
    expect((await publicKeyOf(KeyId)).equals(publicKey)).toBe(true)
    const { Signature } = await kms.sign({ KeyId, Message, SigningAlgorithm: 'ED25519_SHA_512' })
    expect(Buffer.from(Signature!)).toEqual(sign(null, Message, privateKey))
  })

  test('P-521 key under RSA_3072 by OAEP', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'secp521r1' })
    const KeyId = await makeExternal('ECC_NIST_P521', 'SIGN_VERIFY')
    const parameters = await kms.getParametersForImport({
      ...{ KeyId, WrappingAlgorithm: 'RSAES_OAEP_SHA_1', WrappingKeySpec: 'RSA_3072' },
    })
    await importMaterial(kms, KeyId, pkcs8(privateKey), {}, 'RSAES_OAEP_SHA_1', parameters)
    expect((await publicKeyOf(KeyId)).equals(publicKey)).toBe(true)
  })

  test('EC key for key agreement: derives the secret of node:crypto', async () => {
    const own = generateKeyPairSync('ec', { namedCurve: 'secp384r1' })
    const peer = generateKeyPairSync('ec', { namedCurve: 'secp384r1' })
    const KeyId = await makeExternal('ECC_NIST_P384', 'KEY_AGREEMENT')
    await importMaterial(kms, KeyId, pkcs8(own.privateKey), {}, 'RSA_AES_KEY_WRAP_SHA_1')
    const PublicKey = peer.publicKey.export({ type: 'spki', format: 'der' })
    const { SharedSecret } = await kms.deriveSharedSecret({ KeyId, PublicKey, KeyAgreementAlgorithm: 'ECDH' })
    const expected = diffieHellman({ privateKey: own.privateKey, publicKey: peer.publicKey })
    expect(Buffer.from(SharedSecret!)).toEqual(expected)
  })
})
