/** What the token made, held against the openssl command: signatures, shared secrets, public keys, RSA both ways, MACs, pairs. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DataKeyPairSpec, KeySpec } from '@aws-sdk/client-kms'
import { afterAll, describe, expect, test } from '@jest/globals'
import { importMaterial } from '../support/import.ts'
import { run } from '../support/sandbox.ts'
import { makeExternal } from './imports.ts'
import { hashOf, SIGNATURES, signer } from './key-pairs.ts'
import { type Key, kms, text } from './kms.ts'
import { standingKey } from './rules.ts'

const folder = mkdtempSync(join(tmpdir(), 'strongroom-openssl-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0

/** A file with these bytes, or the name for one. */
function file(bytes?: Uint8Array): string {
  files += 1
  const path = join(folder, String(files))
  if (bytes !== undefined) writeFileSync(path, bytes)
  return path
}

/** `openssl …`, which must succeed; what it prints. */
async function openssl(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run('/usr/bin/openssl', args)
  if (code !== 0) throw new Error(`openssl ${args.join(' ')}:\n${stdout}${stderr}`)
  return stdout
}

async function publicKeyFile({ id }: Key): Promise<string> {
  const { PublicKey } = await kms.getPublicKey({ KeyId: id })
  return file(PublicKey!)
}

const Message = text('attack at dawn')
const DER = ['-keyform', 'DER'] as const

describe('openssl', () => {
  const hashed = SIGNATURES.filter(([, algorithm]) => !algorithm.startsWith('ED25519'))
  test.each(hashed)('verifies %s by %s, and refuses another message', async (spec, SigningAlgorithm) => {
    const key = await standingKey(signer(spec))
    const { Signature } = await kms.sign({ KeyId: key.id, Message, SigningAlgorithm })
    const pss = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:digest']
    const verify = async (message: Uint8Array) => {
      const padding = SigningAlgorithm.includes('PSS') ? pss : []
      const common = [...DER, ...padding, '-signature', file(Signature!), file(message)]
      return run('/usr/bin/openssl', [
        'dgst',
        `-${hashOf(SigningAlgorithm)}`,
        ...['-verify', await publicKeyFile(key)],
        ...common,
      ])
    }
    expect((await verify(Message)).stdout).toBe('Verified OK\n')
    expect((await verify(text('attack at dusk'))).stdout).toBe('Verification failure\n')
  })

  test('verifies Ed25519', async () => {
    const key = await standingKey(signer('ECC_NIST_EDWARDS25519'))
    const { Signature } = await kms.sign({ KeyId: key.id, Message, SigningAlgorithm: 'ED25519_SHA_512' })
    const key25519 = ['-pubin', '-keyform', 'DER', '-inkey', await publicKeyFile(key)]
    const args = ['-verify', '-rawin', ...key25519, '-in', file(Message), '-sigfile', file(Signature!)]
    expect(await openssl('pkeyutl', ...args)).toContain('Signature Verified Successfully')
  })

  test.each([
    ['ECC_NIST_P256', 'P-256'],
    ['ECC_NIST_P384', 'P-384'],
    ['ECC_NIST_P521', 'P-521'],
  ] as const)('derives the same secret on %s', async (KeySpec, curve) => {
    const key = await standingKey({ KeySpec, KeyUsage: 'KEY_AGREEMENT' })
    const [own, peer, secret] = [file(), file(), file()]
    await openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', `ec_paramgen_curve:${curve}`, '-out', own)
    await openssl('pkey', '-in', own, '-pubout', '-outform', 'DER', '-out', peer)
    const theirs = ['-peerkey', await publicKeyFile(key), '-peerform', 'DER']
    await openssl('pkeyutl', '-derive', '-inkey', own, ...theirs, '-out', secret)
    const { SharedSecret } = await kms.deriveSharedSecret({
      ...{ KeyId: key.id, KeyAgreementAlgorithm: 'ECDH' },
      PublicKey: readFileSync(peer),
    })
    expect(Buffer.from(SharedSecret!)).toEqual(readFileSync(secret))
  })

  const oaep = (hash: string) => ['-pkeyopt', 'rsa_padding_mode:oaep', '-pkeyopt', `rsa_oaep_md:${hash}`]
  test.each([
    ['RSAES_OAEP_SHA_1', 'sha1'],
    ['RSAES_OAEP_SHA_256', 'sha256'],
  ] as const)('encrypts and decrypts by %s', async (EncryptionAlgorithm, hash) => {
    const [pem, pkcs8] = [file(), file()]
    await openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-out', pem)
    await openssl('pkcs8', '-topk8', '-nocrypt', '-in', pem, '-outform', 'DER', '-out', pkcs8)
    const key = await makeExternal({ KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' })
    await importMaterial(kms, key.id, readFileSync(pkcs8), {}, 'RSA_AES_KEY_WRAP_SHA_256')
    const [sealed, opened] = [file(), file()]
    const theirs = ['-pubin', ...DER, '-inkey', await publicKeyFile(key), '-in', file(Message), '-out', sealed]
    await openssl('pkeyutl', '-encrypt', ...theirs, ...oaep(hash))
    const CiphertextBlob = readFileSync(sealed)
    expect((await kms.decrypt({ KeyId: key.id, CiphertextBlob, EncryptionAlgorithm })).Plaintext).toEqual(Message)
    const made = await kms.encrypt({ KeyId: key.id, Plaintext: Message, EncryptionAlgorithm })
    await openssl(
      'pkeyutl',
      '-decrypt',
      '-inkey',
      pem,
      '-in',
      file(made.CiphertextBlob!),
      '-out',
      opened,
      ...oaep(hash),
    )
    expect(Uint8Array.from(readFileSync(opened))).toEqual(Message)
  })

  test.each([224, 256, 384, 512] as const)('makes the MACs of HMAC_%d', async bits => {
    const material = randomBytes(bits / 8)
    const { id } = await makeExternal({ KeySpec: `HMAC_${bits}`, KeyUsage: 'GENERATE_VERIFY_MAC' })
    await importMaterial(kms, id, material)
    const { Mac } = await kms.generateMac({ KeyId: id, Message, MacAlgorithm: `HMAC_SHA_${bits}` })
    const key = ['-macopt', `hexkey:${material.toString('hex')}`]
    const printed = await openssl('mac', '-digest', `SHA${bits}`, ...key, '-in', file(Message), 'HMAC')
    expect(Buffer.from(Mac!).toString('hex')).toBe(printed.trim().toLowerCase())
  })

  test.each<[spec: KeySpec & DataKeyPairSpec, said: string]>([
    ['RSA_2048', 'Private-Key: (2048 bit, 2 primes)'],
    ['ECC_NIST_P256', 'ASN1 OID: prime256v1'],
    ['ECC_NIST_P384', 'ASN1 OID: secp384r1'],
    ['ECC_NIST_P521', 'ASN1 OID: secp521r1'],
    ['ECC_SECG_P256K1', 'ASN1 OID: secp256k1'],
    ['ECC_NIST_EDWARDS25519', 'ED25519 Private-Key'],
  ])('finds a data key pair of %s sound', async (KeyPairSpec, said) => {
    const { id } = await standingKey()
    const { PrivateKeyPlaintext, PublicKey } = await kms.generateDataKeyPair({ KeyId: id, KeyPairSpec })
    const checked = file()
    const args = ['-inform', 'DER', '-in', file(PrivateKeyPlaintext!), '-check', '-noout', '-text']
    const printed = await openssl('pkey', ...args)
    expect(printed).toContain('Key is valid')
    expect(printed).toContain(said)
    await openssl(
      ...['pkey', '-inform', 'DER', '-in', file(PrivateKeyPlaintext!)],
      '-pubout',
      '-outform',
      'DER',
      '-out',
      checked,
    )
    expect(readFileSync(checked)).toEqual(Buffer.from(PublicKey!))
  })
})
