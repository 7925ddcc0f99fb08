/** Encrypt, Decrypt and ReEncrypt with RSA keys: RSAES-OAEP, where the other side may be anybody with the public key. */
import { constants, publicEncrypt } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { publicKeyOf } from './key-pairs.ts'
import { answer, BLOB, bytes, encrypt, INVALID_CIPHERTEXT, kms, MATERIAL_ID, makeKey, refusal, text } from './kms.ts'
import { standingKey } from './rules.ts'

const rsa = (bits: 2048 | 3072 | 4096) => ({ KeySpec: `RSA_${bits}`, KeyUsage: 'ENCRYPT_DECRYPT' }) as const
const SIZES = [2048, 3072, 4096] as const
const ALGORITHMS = [
  ['RSAES_OAEP_SHA_1', 'sha1', 20],
  ['RSAES_OAEP_SHA_256', 'sha256', 32],
] as const
const CASES = SIZES.flatMap(bits => ALGORITHMS.map(algorithm => [bits, ...algorithm] as const))

describe.each(CASES)('RSA_%d by %s', (bits, EncryptionAlgorithm, oaepHash, hashBytes) => {
  const longest = bits / 8 - 2 * hashBytes - 2

  test.each([1, 100, longest])('%d bytes come back', async length => {
    const key = await standingKey(rsa(bits))
    const Plaintext = bytes(length)
    const sealed = await answer(kms.encrypt({ KeyId: key.id, Plaintext, EncryptionAlgorithm }))
    expect(sealed).toStrictEqual({ CiphertextBlob: BLOB, KeyId: key.arn, EncryptionAlgorithm })
    expect(sealed.CiphertextBlob!.length).toBe(bits / 8)
    const { CiphertextBlob } = sealed
    expect(await answer(kms.decrypt({ KeyId: key.id, CiphertextBlob, EncryptionAlgorithm }))).toStrictEqual({
      KeyId: key.arn,
      Plaintext,
      EncryptionAlgorithm,
    })
  })

  test('opens what OpenSSL encrypted with the public key', async () => {
    const key = await standingKey(rsa(bits))
    const padding = constants.RSA_PKCS1_OAEP_PADDING
    const made = publicEncrypt({ key: await publicKeyOf(key), padding, oaepHash }, text('from outside'))
    const { Plaintext } = await kms.decrypt({ KeyId: key.id, CiphertextBlob: made, EncryptionAlgorithm })
    expect(Plaintext).toEqual(text('from outside'))
  })

  test('one byte more than there is room for is refused', async () => {
    const key = await standingKey(rsa(bits))
    expect(await refusal(kms.encrypt({ KeyId: key.id, Plaintext: bytes(longest + 1), EncryptionAlgorithm }))).toBe(
      `ValidationException: Algorithm ${EncryptionAlgorithm} and key spec RSA_${bits} cannot encrypt data larger than ${longest} bytes.`,
    )
  })

  test('whatever is wrong with a ciphertext, the answer is one', async () => {
    const key = await standingKey(rsa(bits))
    const publicKey = await publicKeyOf(key)
    const { CiphertextBlob } = await kms.encrypt({ KeyId: key.id, Plaintext: text('x'), EncryptionAlgorithm })
    const altered = Uint8Array.from(CiphertextBlob!)
    altered[7]! ^= 1
    const raw = (block: Buffer) => publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, block)
    const otherHash = publicEncrypt(
      {
        key: publicKey,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: oaepHash === 'sha1' ? 'sha256' : 'sha1',
      },
      text('x'),
    )
    const pkcs1 = publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, text('x'))
    const block = (first: number) => Buffer.concat([Buffer.from([first]), Buffer.alloc(bits / 8 - 1, 0x17)])
    const wrong = [altered, CiphertextBlob!.subarray(1), bytes(1), otherHash, pkcs1, raw(block(0)), raw(block(1))]
    for (const blob of wrong) {
      expect(await refusal(kms.decrypt({ KeyId: key.id, CiphertextBlob: blob, EncryptionAlgorithm }))).toBe(
        INVALID_CIPHERTEXT,
      )
    }
  })
})

describe('an RSA key', () => {
  const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256'

  test('takes no encryption context', async () => {
    const { id } = await standingKey(rsa(2048))
    const sent = { KeyId: id, Plaintext: text('x'), EncryptionAlgorithm, EncryptionContext: { a: 'b' } } as const
    expect(await refusal(kms.encrypt(sent))).toBe(
      'ValidationException: EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.',
    )
  })

  test('must be told its algorithm', async () => {
    const { id } = await standingKey(rsa(2048))
    expect(await refusal(kms.encrypt({ KeyId: id, Plaintext: text('x') }))).toBe(
      'InvalidKeyUsageException: Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.',
    )
  })

  test('whose algorithm is left out is asked to open a ciphertext of ours, which none of its own is', async () => {
    const { id } = await standingKey(rsa(2048))
    const { CiphertextBlob } = await kms.encrypt({ KeyId: id, Plaintext: text('x'), EncryptionAlgorithm })
    const own = await standingKey()
    const decrypt = { KeyId: id, CiphertextBlob }
    const reEncrypt = { SourceKeyId: id, CiphertextBlob, DestinationKeyId: own.id }
    expect(await refusal(kms.decrypt(decrypt))).toBe(INVALID_CIPHERTEXT)
    expect(await refusal(kms.reEncrypt(reEncrypt))).toBe(INVALID_CIPHERTEXT)
    const foreign = await encrypt(own)
    const incorrect =
      'IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.'
    expect(await refusal(kms.decrypt({ ...decrypt, CiphertextBlob: foreign }))).toBe(incorrect)
    expect(await refusal(kms.reEncrypt({ ...reEncrypt, CiphertextBlob: foreign }))).toBe(incorrect)
  })

  test('that signs does not decrypt', async () => {
    const key = await makeKey(kms, { KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' })
    expect(await refusal(kms.encrypt({ KeyId: key.id, Plaintext: text('x'), EncryptionAlgorithm }))).toBe(
      `InvalidKeyUsageException: ${key.arn} key usage is SIGN_VERIFY which is not valid for Encrypt.`,
    )
  })
})

describe('ReEncrypt', () => {
  const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256'

  test('from symmetric to RSA, to another RSA key, and back', async () => {
    const [symmetric, first, second] = [
      await standingKey(),
      await makeKey(kms, rsa(2048)),
      await standingKey(rsa(3072)),
    ]
    const toFirst = await answer(
      kms.reEncrypt({
        CiphertextBlob: await encrypt(symmetric, { a: 'b' }),
        SourceEncryptionContext: { a: 'b' },
        DestinationKeyId: first.id,
        DestinationEncryptionAlgorithm: EncryptionAlgorithm,
      }),
    )
    expect(toFirst).toStrictEqual({
      CiphertextBlob: BLOB,
      SourceKeyId: symmetric.arn,
      KeyId: first.arn,
      SourceEncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      DestinationEncryptionAlgorithm: EncryptionAlgorithm,
      SourceKeyMaterialId: MATERIAL_ID,
    })
    const toSecond = await kms.reEncrypt({
      CiphertextBlob: toFirst.CiphertextBlob,
      SourceKeyId: first.id,
      SourceEncryptionAlgorithm: EncryptionAlgorithm,
      DestinationKeyId: second.id,
      DestinationEncryptionAlgorithm: 'RSAES_OAEP_SHA_1',
    })
    const back = await kms.reEncrypt({
      CiphertextBlob: toSecond.CiphertextBlob,
      SourceKeyId: second.id,
      SourceEncryptionAlgorithm: 'RSAES_OAEP_SHA_1',
      DestinationKeyId: symmetric.id,
    })
    expect((await kms.decrypt({ CiphertextBlob: back.CiphertextBlob })).Plaintext).toEqual(text('attack at dawn'))
  })

  test('of more than the modulus has room for is refused', async () => {
    const [symmetric, { id }] = [await standingKey(), await standingKey(rsa(2048))]
    const { CiphertextBlob } = await kms.encrypt({ KeyId: symmetric.id, Plaintext: bytes(191) })
    const call = kms.reEncrypt({
      CiphertextBlob,
      DestinationKeyId: id,
      DestinationEncryptionAlgorithm: EncryptionAlgorithm,
    })
    expect(await refusal(call)).toBe(
      'ValidationException: Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes.',
    )
  })
})
