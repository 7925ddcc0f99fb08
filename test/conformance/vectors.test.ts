/** Published vectors, good and bad, through imported keys: Project Wycheproof, RFC 4231 and RFC 8032. */
import { createECDH, createPrivateKey, hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { EncryptionAlgorithmSpec, KeySpec, KeyUsageType, MacAlgorithmSpec } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { importMaterial, pkcs8 } from '../support/import.ts'
import { hex, type WycheproofTest, wycheproof } from '../support/wycheproof.ts'
import { makeExternal } from './imports.ts'
import { INVALID_CIPHERTEXT, kms, refusal } from './kms.ts'

const INVALID_MAC = 'KMSInvalidMacException: UnknownError'
const HMAC_BITS = [224, 256, 384, 512] as const

async function imported(KeySpec: KeySpec, KeyUsage: KeyUsageType, material: Uint8Array): Promise<string> {
  const { id } = await makeExternal({ KeySpec, KeyUsage })
  const wrapping = KeyUsage === 'GENERATE_VERIFY_MAC' ? 'RSAES_OAEP_SHA_1' : 'RSA_AES_KEY_WRAP_SHA_1'
  await importMaterial(kms, id, material, {}, wrapping)
  return id
}

/** The same key of a length that is imported: HMAC itself hashes longer keys and fills up shorter ones (RFC 2104). */
function fitted(key: Buffer, bits: number): Buffer {
  const blockBytes = bits <= 256 ? 64 : 128
  if (key.length > blockBytes) return hash(`sha${bits}`, key, 'buffer')
  return Buffer.concat([key, Buffer.alloc(Math.max(0, bits / 8 - key.length))])
}

const importedMac = (bits: number, key: string) =>
  imported(`HMAC_${bits}` as KeySpec, 'GENERATE_VERIFY_MAC', fitted(hex(key), bits))

describe('RFC 4231', () => {
  const vectors = new URL('../vectors/rfc4231.json', import.meta.url)
  const { cases } = JSON.parse(readFileSync(vectors, 'utf8')) as {
    cases: { key: string; data: string; macs: Record<string, string> }[]
  }

  test.each(HMAC_BITS)('HMAC_%d', async bits => {
    for (const { key, data, macs } of cases) {
      const KeyId = await importedMac(bits, key)
      const sent = { KeyId, Message: hex(data), MacAlgorithm: `HMAC_SHA_${bits}` as MacAlgorithmSpec }
      expect(Buffer.from((await kms.generateMac(sent)).Mac!).toString('hex')).toBe(macs[bits])
    }
  })
})

describe('RFC 8032', () => {
  const vectors = new URL('../vectors/rfc8032.json', import.meta.url)
  const { cases } = JSON.parse(readFileSync(vectors, 'utf8')) as {
    cases: { key: string; data: string; signature: string }[]
  }
  /** PKCS #8 before its seed (RFC 8410 section 7). */
  const PKCS8 = '302e020100300506032b657004220420'

  test.each(cases)('Ed25519 of $data', async ({ key, data, signature }) => {
    const KeyId = await imported('ECC_NIST_EDWARDS25519', 'SIGN_VERIFY', hex(`${PKCS8}${key}`))
    const sent = { KeyId, Message: hex(data), SigningAlgorithm: 'ED25519_SHA_512' } as const
    expect(Buffer.from((await kms.sign(sent)).Signature!).toString('hex')).toBe(signature)
    expect((await kms.verify({ ...sent, Signature: hex(signature) })).SignatureValid).toBe(true)
    const forged = Buffer.concat([hex(signature).subarray(0, -1), hex('ff')])
    expect(await refusal(kms.verify({ ...sent, Signature: forged }))).toBe('KMSInvalidSignatureException: UnknownError')
  })
})

describe('Wycheproof', () => {
  test.each(HMAC_BITS)('HMAC_%d: MACs are made, and forged ones refused', async bits => {
    const MacAlgorithm = `HMAC_SHA_${bits}` as MacAlgorithmSpec
    const tests = wycheproof(`hmac_sha${bits}`)
      .filter(({ keySize, tagSize }) => tagSize === bits && keySize >= bits)
      .flatMap(group => group.tests)
      .filter(({ msg }) => msg !== '')
    // Each key is an import of its own: the one that forgeries are of, and some that only make MACs.
    const forged = tests.find(({ result }) => result === 'invalid')!.key
    const keys = [...new Set([forged, tests.at(0)!.key, tests.at(-1)!.key])]
    let refused = 0
    for (const key of keys) {
      const KeyId = await importedMac(bits, key)
      for (const { msg, tag, result } of tests.filter(each => each.key === key)) {
        const sent = { KeyId, Message: hex(msg), MacAlgorithm }
        if (result === 'valid') {
          expect(Buffer.from((await kms.generateMac(sent)).Mac!).toString('hex')).toBe(tag)
          expect((await kms.verifyMac({ ...sent, Mac: hex(tag) })).MacValid).toBe(true)
        } else {
          expect(await refusal(kms.verifyMac({ ...sent, Mac: hex(tag) }))).toBe(INVALID_MAC)
          refused += 1
        }
      }
    }
    expect(refused).toBeGreaterThan(20)
  })

  test.each<[file: string, algorithm: EncryptionAlgorithmSpec]>([
    ['rsa_oaep_2048_sha1_mgf1sha1', 'RSAES_OAEP_SHA_1'],
    ['rsa_oaep_2048_sha256_mgf1sha256', 'RSAES_OAEP_SHA_256'],
  ])('%s', async (file, EncryptionAlgorithm) => {
    const [group] = wycheproof(file)
    const KeyId = await imported('RSA_2048', 'ENCRYPT_DECRYPT', hex(group!.privateKeyPkcs8))
    for (const { tcId, ct, msg, label, result } of group!.tests) {
      if (ct === '' || (msg === '' && result === 'valid')) continue // KMS takes at least a byte of either.
      const sent = { KeyId, CiphertextBlob: hex(ct), EncryptionAlgorithm }
      // KMS has no labels: what was made with one is made wrong.
      const told =
        result === 'valid' && label === ''
          ? { tcId, plaintext: Buffer.from((await kms.decrypt(sent)).Plaintext!).toString('hex') }
          : { tcId, refused: await refusal(kms.decrypt(sent)) }
      expect(told).toEqual(
        result === 'valid' && label === '' ? { tcId, plaintext: msg } : { tcId, refused: INVALID_CIPHERTEXT },
      )
    }
  })

  test.each<[file: string, spec: KeySpec, curve: string, jwkName: string]>([
    ['ecdh_secp256r1', 'ECC_NIST_P256', 'prime256v1', 'P-256'],
    ['ecdh_secp384r1', 'ECC_NIST_P384', 'secp384r1', 'P-384'],
  ])('%s', async (file, spec, curve, jwkName) => {
    const tests = wycheproof(file).flatMap(group => group.tests)
    const derive = (KeyId: string, { public: peer }: WycheproofTest) =>
      kms.deriveSharedSecret({ KeyId, KeyAgreementAlgorithm: 'ECDH', PublicKey: hex(peer) })
    // The keys with most tests of values that are hard to compute with, each with some of them.
    const valid = Map.groupBy(
      tests.filter(({ result }) => result === 'valid'),
      test => test.private,
    )
    const used = [...valid].sort(([, a], [, b]) => b.length - a.length).slice(0, KEYS_OF_A_CURVE)
    let KeyId = ''
    for (const [scalar, itsTests] of used) {
      KeyId = await imported(spec, 'KEY_AGREEMENT', privateKeyOf(scalar, curve, jwkName))
      for (const each of itsTests.slice(0, TESTS_OF_A_KEY)) {
        const { SharedSecret } = await derive(KeyId, each)
        expect({ tcId: each.tcId, shared: Buffer.from(SharedSecret!).toString('hex') }).toEqual({
          tcId: each.tcId,
          shared: each.shared,
        })
      }
    }
    // Whatever key it is, it takes no part in these.
    for (const each of tests.filter(({ result }) => result === 'invalid')) {
      const refused = await refusal(derive(KeyId, each))
      expect({ tcId: each.tcId, code: refused.split(':')[0] }).toEqual({
        tcId: each.tcId,
        code: 'ValidationException',
      })
    }
  })
})

const KEYS_OF_A_CURVE = 3
const TESTS_OF_A_KEY = 120

/** PKCS #8 of a private scalar, whose public point is computed from it. */
function privateKeyOf(scalar: string, curve: string, crv: string): Buffer {
  const bytes = crv === 'P-256' ? 32 : 48
  // Wycheproof writes a sign.
  const d = hex(scalar.length % 2 === 0 ? scalar : `0${scalar}`).subarray(-bytes)
  const own = createECDH(curve)
  own.setPrivateKey(d)
  const point = own.getPublicKey()
  const [x, y] = [point.subarray(1, 1 + bytes), point.subarray(1 + bytes)]
  const text = (part: Buffer) => part.toString('base64url')
  const padded = Buffer.concat([Buffer.alloc(bytes - d.length), d])
  return pkcs8(createPrivateKey({ key: { kty: 'EC', crv, x: text(x), y: text(y), d: text(padded) }, format: 'jwk' }))
}
