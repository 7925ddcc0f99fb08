import { execFileSync } from 'node:child_process'
import { hash, verify } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { SignRequest } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { makeFolder } from '../support/tokens.ts'
import { ED25519_SIGNER, hashOf, P256_SIGNER, paddingOf, publicKeyOf, SIGNATURES, signer } from './key-pairs.ts'
import { answer, BLOB, bytes, invalid, kms, refusal, text } from './kms.ts'
import { ONLY_ENABLED, obeysKeyState, standingKey, takesDryRun, takesKeyId } from './rules.ts'

const Message = text('attack at dawn')
const request = { Message, SigningAlgorithm: 'ECDSA_SHA_256' } as const

describe('Sign', () => {
  takesKeyId(KeyId => kms.sign({ KeyId, ...request }), { action: 'Sign', aliases: true, kind: P256_SIGNER })
  obeysKeyState(({ id }) => kms.sign({ KeyId: id, ...request }), ONLY_ENABLED, P256_SIGNER)
  takesDryRun(members => kms.sign({ KeyId: undefined, ...request, ...members }), P256_SIGNER)

  test('returns signature, key and algorithm', async () => {
    const key = await standingKey(P256_SIGNER)
    expect(await answer(kms.sign({ KeyId: key.id, ...request }))).toStrictEqual({
      Signature: BLOB,
      KeyId: key.arn,
      SigningAlgorithm: 'ECDSA_SHA_256',
    })
  })

  test.each(SIGNATURES)(
    '%s by %s verifies with node:crypto, of a message and of its digest',
    async (spec, algorithm) => {
      const key = await standingKey(signer(spec))
      const publicKey = await publicKeyOf(key)
      const name = hashOf(algorithm)
      for (const [MessageType, signed] of [
        ['RAW', Message],
        ['DIGEST', hash(name, Message, 'buffer')],
      ] as const) {
        const sent = { KeyId: key.id, Message: signed, MessageType, SigningAlgorithm: algorithm }
        const { Signature } = await kms.sign(sent)
        expect(verify(name, Message, { key: publicKey, ...paddingOf(algorithm) }, Signature!)).toBe(true)
      }
    },
  )

  test.each<[what: string, members: Partial<SignRequest>, expected: string]>([
    ['no message', { Message: undefined }, invalid('message', null, 'not be null')],
    [
      'an empty message',
      { Message: bytes(0) },
      invalid('message', undefined, 'have length greater than or equal to 1'),
    ],
    ['4,097 bytes', { Message: bytes(4_097) }, invalid('message', undefined, 'have length less than or equal to 4096')],
    [
      'a digest that is too short',
      { Message: bytes(31), MessageType: 'DIGEST' },
      'ValidationException: Digest is invalid length for algorithm ECDSA_SHA_256.',
    ],
    [
      'a message as digest',
      { MessageType: 'EXTERNAL_MU' },
      'ValidationException: MessageType EXTERNAL_MU does not fit algorithm ECDSA_SHA_256.',
    ],
    [
      "another curve's algorithm",
      { SigningAlgorithm: 'ECDSA_SHA_384' },
      'InvalidKeyUsageException: Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256.',
    ],
  ])('refuses %s', async (_, members, expected) => {
    const { id } = await standingKey(P256_SIGNER)
    expect(await refusal(kms.sign({ KeyId: id, ...request, ...members }))).toBe(expected)
  })

  test('by ED25519_SHA_512 takes the message, and gives what node:crypto and openssl verify', async () => {
    const key = await standingKey(ED25519_SIGNER)
    const publicKey = await publicKeyOf(key)
    for (const message of [bytes(1), Message, bytes(4_096)]) {
      const request = { KeyId: key.id, Message: message, SigningAlgorithm: 'ED25519_SHA_512' } as const
      const { Signature } = await kms.sign({ ...request, MessageType: 'RAW' })
      expect(Signature).toHaveLength(64)
      expect(verify(null, message, publicKey, Signature!)).toBe(true)
      // RFC 8032 section 5.1.6: there is no nonce.
      expect((await kms.sign(request)).Signature).toEqual(Signature)
      expect(opensslVerifies(publicKey.export({ type: 'spki', format: 'pem' }), message, Signature!)).toBe(true)
    }
  })

  test.each<[what: string, members: Partial<SignRequest>, expected: string]>([
    [
      'a digest for the algorithm that takes messages',
      { MessageType: 'DIGEST', Message: bytes(64), SigningAlgorithm: 'ED25519_SHA_512' },
      'ValidationException: MessageType DIGEST does not fit algorithm ED25519_SHA_512.',
    ],
    [
      'an mu',
      { MessageType: 'EXTERNAL_MU', Message: bytes(64), SigningAlgorithm: 'ED25519_SHA_512' },
      'ValidationException: MessageType EXTERNAL_MU does not fit algorithm ED25519_SHA_512.',
    ],
    [
      'a message for the algorithm that takes digests',
      { MessageType: 'RAW', SigningAlgorithm: 'ED25519_PH_SHA_512' },
      'ValidationException: MessageType RAW does not fit algorithm ED25519_PH_SHA_512.',
    ],
    [
      'a digest of another length',
      { MessageType: 'DIGEST', Message: bytes(63), SigningAlgorithm: 'ED25519_PH_SHA_512' },
      'ValidationException: Digest is invalid length for algorithm ED25519_PH_SHA_512.',
    ],
    [
      'the algorithm with a prehash, which its token signs as if it were the other one',
      { MessageType: 'DIGEST', Message: bytes(64), SigningAlgorithm: 'ED25519_PH_SHA_512' },
      'UnsupportedOperationException: ED25519_PH_SHA_512 needs CKM_EDDSA with the phFlag of CK_EDDSA_PARAMS, which no token of this Region has.',
    ],
    [
      'ML-DSA under a key that has none',
      { MessageType: 'EXTERNAL_MU', Message: bytes(64), SigningAlgorithm: 'ML_DSA_SHAKE_256' },
      'InvalidKeyUsageException: Algorithm ML_DSA_SHAKE_256 is incompatible with key spec ECC_NIST_EDWARDS25519.',
    ],
  ])('of Ed25519 refuses %s', async (_, members, expected) => {
    const { id } = await standingKey(ED25519_SIGNER)
    const request = { KeyId: id, Message, SigningAlgorithm: 'ED25519_SHA_512' } as const
    expect(await refusal(kms.sign({ ...request, ...members }))).toBe(expected)
  })

  test.each([
    ['symmetric encryption', {}, 'ENCRYPT_DECRYPT'],
    ['key agreement', { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' }, 'KEY_AGREEMENT'],
    ['encryption', { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' }, 'ENCRYPT_DECRYPT'],
  ] as const)('refuses a key for %s', async (_, kind, usage) => {
    const key = await standingKey(kind)
    expect(await refusal(kms.sign({ KeyId: key.id, ...request }))).toBe(
      `InvalidKeyUsageException: ${key.arn} key usage is ${usage} which is not valid for Sign.`,
    )
  })
})

/** By Debian's OpenSSL, as its command has it. */
function opensslVerifies(publicKey: string | Buffer, message: Uint8Array, signature: Uint8Array): boolean {
  const folder = makeFolder()
  const file = (name: string, content: string | Uint8Array) => {
    const path = join(folder.path, name)
    writeFileSync(path, content)
    return path
  }
  const args = ['-pubin', '-inkey', file('key', publicKey), '-rawin', '-in', file('message', message)]
  try {
    const said = execFileSync('openssl', ['pkeyutl', '-verify', ...args, '-sigfile', file('signature', signature)])
    return said.toString().includes('Signature Verified Successfully')
  } finally {
    folder.remove()
  }
}
