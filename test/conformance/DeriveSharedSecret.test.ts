import { diffieHellman, generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { publicKeyOf } from './key-pairs.ts'
import { answer, bytes, kms, refusal } from './kms.ts'
import { ONLY_ENABLED, obeysKeyState, standingKey, takesDryRun, takesKeyId } from './rules.ts'

const agreement = (KeySpec: 'ECC_NIST_P256' | 'ECC_NIST_P384' | 'ECC_NIST_P521') =>
  ({ KeySpec, KeyUsage: 'KEY_AGREEMENT' }) as const
const P256 = agreement('ECC_NIST_P256')
const spki = (namedCurve: string) => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve })
  return { privateKey, bytes: publicKey.export({ type: 'spki', format: 'der' }) }
}
const peer = spki('prime256v1')
const request = { KeyAgreementAlgorithm: 'ECDH', PublicKey: peer.bytes } as const
const NOT_ON_CURVE = 'ValidationException: PublicKey must be a public key on the curve of the KMS key, as DER of SPKI.'

describe('DeriveSharedSecret', () => {
  takesKeyId(KeyId => kms.deriveSharedSecret({ KeyId, ...request }), {
    action: 'DeriveSharedSecret',
    aliases: true,
    kind: P256,
  })
  obeysKeyState(({ id }) => kms.deriveSharedSecret({ KeyId: id, ...request }), ONLY_ENABLED, P256)
  takesDryRun(members => kms.deriveSharedSecret({ KeyId: undefined, ...request, ...members }), P256)

  test.each([
    ['ECC_NIST_P256', 'prime256v1', 32],
    ['ECC_NIST_P384', 'secp384r1', 48],
    ['ECC_NIST_P521', 'secp521r1', 66],
  ] as const)('on %s both sides come to the same secret', async (spec, curve, length) => {
    const key = await standingKey(agreement(spec))
    const other = spki(curve)
    const made = await answer(
      kms.deriveSharedSecret({ KeyId: key.id, KeyAgreementAlgorithm: 'ECDH', PublicKey: other.bytes }),
    )
    expect(made).toMatchObject({ KeyId: key.arn, KeyAgreementAlgorithm: 'ECDH', KeyOrigin: 'AWS_KMS' })
    const expected = diffieHellman({ privateKey: other.privateKey, publicKey: await publicKeyOf(key) })
    expect(expected.length).toBe(length)
    expect(Buffer.from(made.SharedSecret!)).toEqual(expected)
  })

  test.each([
    ['of another curve', spki('secp384r1').bytes],
    ['of the Koblitz curve', spki('secp256k1').bytes],
    ['that is none', bytes(91)],
    ['off the curve', offCurve()],
  ])('refuses a public key %s', async (_, PublicKey) => {
    const { id } = await standingKey(P256)
    expect(await refusal(kms.deriveSharedSecret({ KeyId: id, ...request, PublicKey }))).toBe(NOT_ON_CURVE)
  })
})

/** The same point with one bit of y changed. */
function offCurve(): Uint8Array {
  const changed = Uint8Array.from(peer.bytes)
  changed[changed.length - 1]! ^= 1
  return changed
}
