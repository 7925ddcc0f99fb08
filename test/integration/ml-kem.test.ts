/**
 * ML-KEM on a token that knows it: a daemon on the NSS that firefox-esr brings along, and OpenSSL on the other side.
 */
import { createPrivateKey, createPublicKey, decapsulate, encapsulate } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { readCredentials } from '../../scripts/instance.ts'
import { compose, type Daemon } from '../../src/compose.ts'
import { loadConfiguration } from '../../src/config/load.ts'
import type { TokenLocation } from '../../src/hsm/contract/host-configuration.ts'
import { type Instance, makeInstance } from '../support/instance.ts'
import { makeNewerNssToken } from '../support/nss.ts'
import { REGION, silentLogger } from '../support/tokens.ts'

const READY_MS = 60_000
/** A ceremony starts several processes, on a machine that may be busy. */
const BUSY_MS = 240_000
const ML_KEM = { EncapsulationAlgorithm: 'ML_KEM' } as const
/** FIPS 203 section 8, table 3. NSS has no ML-KEM-512. */
const SIZES = [
  ['ML_KEM_768', 1_184, 1_088],
  ['ML_KEM_1024', 1_568, 1_568],
] as const
const SPKI_OVERHEAD_BYTES = 22

let instance: Instance
let officer: string[]
/** The one token that the daemon knows; its domain is in a SoftHSM token too, which has no ML-KEM. */
let newer: TokenLocation
let path: string
let daemon: Daemon
const clients: KMS[] = []

async function startDaemon(): Promise<void> {
  daemon = await compose(loadConfiguration(path), { clock: Date.now, logger: silentLogger })
  await daemon.whenReady(READY_MS)
}

async function restartDaemon(): Promise<void> {
  await daemon[Symbol.asyncDispose]()
  await startDaemon()
}

function kms(): KMS {
  const { endpoint } = daemon
  const credentials = readCredentials(instance.stateDir)
  const client = new KMS({ endpoint, region: REGION, credentials, maxAttempts: 1 })
  clients.push(client)
  return client
}

async function makeKey(kind: Parameters<KMS['createKey']>[0]): Promise<string> {
  return (await kms().createKey(kind)).KeyMetadata!.KeyId!
}

async function publicKeyOf(KeyId: string) {
  const { PublicKey } = await kms().getPublicKey({ KeyId })
  return createPublicKey({ key: Buffer.from(PublicKey!), format: 'der', type: 'spki' })
}

afterEach(() => {
  for (const client of clients.splice(0)) client.destroy()
})

afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]()
  instance?.remove()
})

beforeAll(async () => {
  instance = await makeInstance(['soft', 'late'])
  officer = ['--so-pin-file', instance.officerPinFile]
  mkdirSync(join(instance.folder, 'newer'))
  newer = makeNewerNssToken(join(instance.folder, 'newer'), 'newer')
  instance.configure(['soft', newer])
  const init = await instance.run(['init', ...officer, '--allow-open-token'])
  expect(init).toEqual({ ...init, code: 0 })
  path = instance.configure([newer])
  await startDaemon()
  const [token] = daemon.pools.get(REGION)!.members
  expect(token!.profile!.privateKeys).toMatchObject({ ML_KEM_512: 'none', ML_KEM_768: 'ekt', ML_KEM_1024: 'ekt' })
}, BUSY_MS)

describe('an ML-KEM key', () => {
  it.each(SIZES)('of %s is an EKT of the token that knows it', async (KeySpec, keyBytes, ciphertextBytes) => {
    const KeyId = await makeKey({ KeySpec, KeyUsage: 'ENCAPSULATE_DECAPSULATE' })
    const { PublicKey, EncapsulationAlgorithms, CustomerMasterKeySpec } = await kms().getPublicKey({ KeyId })
    expect({ EncapsulationAlgorithms, CustomerMasterKeySpec }).toEqual({ EncapsulationAlgorithms: ['ML_KEM'] })
    expect(PublicKey).toHaveLength(keyBytes + SPKI_OVERHEAD_BYTES)

    const made = await kms().encapsulate({ KeyId, ...ML_KEM })
    expect(made).toMatchObject({ KeyId: expect.stringContaining(KeyId), ...ML_KEM })
    expect(made.SharedSecret).toHaveLength(32)
    expect(made.SharedSecretCiphertextBlob).toHaveLength(ciphertextBytes)
    const { SharedSecretCiphertextBlob } = made
    const opened = await kms().decapsulate({ KeyId, ...ML_KEM, SharedSecretCiphertextBlob })
    expect(opened).toMatchObject({ KeyId: made.KeyId, SharedSecret: made.SharedSecret, ...ML_KEM })

    // What OpenSSL encapsulates with the public key alone, the token decapsulates.
    const { sharedKey, ciphertext } = encapsulate(await publicKeyOf(KeyId))
    const outside = { KeyId, ...ML_KEM, SharedSecretCiphertextBlob: ciphertext }
    expect(Buffer.from((await kms().decapsulate(outside)).SharedSecret!)).toEqual(Buffer.from(sharedKey))
  })

  it('gives a secret that nobody knows for a ciphertext that was changed, and none for one of another length', async () => {
    const KeyId = await makeKey({ KeySpec: 'ML_KEM_768', KeyUsage: 'ENCAPSULATE_DECAPSULATE' })
    const made = await kms().encapsulate({ KeyId, ...ML_KEM })
    const changed = Uint8Array.from(made.SharedSecretCiphertextBlob!)
    changed[5]! ^= 1
    const open = (SharedSecretCiphertextBlob: Uint8Array) =>
      kms().decapsulate({ KeyId, ...ML_KEM, SharedSecretCiphertextBlob })
    const [first, second] = [await open(changed), await open(changed)]
    expect(first.SharedSecret).toHaveLength(32)
    expect(first.SharedSecret).not.toEqual(made.SharedSecret)
    expect(second.SharedSecret).toEqual(first.SharedSecret)
    for (const length of [1, 1_087, 1_089, 1_568, 6_144]) {
      await expect(open(new Uint8Array(length))).rejects.toMatchObject({ name: 'InvalidCiphertextException' })
    }
  })

  it('opens what it did before the daemon was started anew', async () => {
    const KeyId = await makeKey({ KeySpec: 'ML_KEM_1024', KeyUsage: 'ENCAPSULATE_DECAPSULATE' })
    const { SharedSecret, SharedSecretCiphertextBlob } = await kms().encapsulate({ KeyId, ...ML_KEM })
    await restartDaemon()
    const opened = await kms().decapsulate({ KeyId, ...ML_KEM, SharedSecretCiphertextBlob })
    expect(opened.SharedSecret).toEqual(SharedSecret)
  })

  it.each(SIZES.map(([spec, keyBytes]) => [spec, keyBytes] as const))(
    'of %s comes as a data key pair, in the form of its seed',
    async (KeyPairSpec, keyBytes) => {
      const KeyId = await makeKey({})
      const made = await kms().generateDataKeyPair({ KeyId, KeyPairSpec })
      expect(made.PublicKey).toHaveLength(keyBytes + SPKI_OVERHEAD_BYTES)
      const { Plaintext } = await kms().decrypt({ CiphertextBlob: made.PrivateKeyCiphertextBlob })
      expect(Plaintext).toEqual(made.PrivateKeyPlaintext)
      expect(Plaintext).toHaveLength(86)
      const privateKey = createPrivateKey({ key: Buffer.from(Plaintext!), format: 'der', type: 'pkcs8' })
      const publicKey = createPublicKey({ key: Buffer.from(made.PublicKey!), format: 'der', type: 'spki' })
      const { sharedKey, ciphertext } = encapsulate(publicKey)
      expect(Buffer.from(decapsulate(privateKey, ciphertext))).toEqual(Buffer.from(sharedKey))
    },
  )

  it(
    'opens after a rotation of the domain what it did before',
    async () => {
      const KeyId = await makeKey({ KeySpec: 'ML_KEM_768', KeyUsage: 'ENCAPSULATE_DECAPSULATE' })
      const { SharedSecret, SharedSecretCiphertextBlob } = await kms().encapsulate({ KeyId, ...ML_KEM })
      instance.configure(['soft', newer])
      const { code, stdout } = await instance.run(['domain', 'rotate', ...officer])
      expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('in token "newer"') })
      instance.configure([newer])
      await restartDaemon()
      const opened = await kms().decapsulate({ KeyId, ...ML_KEM, SharedSecretCiphertextBlob })
      expect(opened.SharedSecret).toEqual(SharedSecret)
    },
    BUSY_MS,
  )

  it(
    'keeps a token that cannot open it from being enrolled',
    async () => {
      await makeKey({ KeySpec: 'ML_KEM_1024', KeyUsage: 'ENCAPSULATE_DECAPSULATE' })
      instance.configure([newer, 'late'])
      const { code, stderr } = await instance.run([
        'domain',
        'enrol',
        '--token',
        'late',
        ...officer,
        '--allow-open-token',
      ])
      expect(code).not.toBe(0)
      expect(stderr).toMatch(
        /token "late" \(\w+\) cannot open .*\d+ keys? of KeySpec ML_KEM_1024 \(missing: CKM_ML_KEM_KEY_PAIR_GEN, CKM_ML_KEM\)/,
      )
      const domain = await instance.withStore(store => store.reader.findDomain(REGION))
      expect(domain!.tokens.map(({ label }) => label).sort()).toEqual(['newer', 'soft'])
      instance.configure([newer])
    },
    BUSY_MS,
  )

  it('of 512 is refused: the token lists the mechanism, and does not know the parameter set', async () => {
    const kind = { KeySpec: 'ML_KEM_512', KeyUsage: 'ENCAPSULATE_DECAPSULATE' } as const
    await expect(makeKey(kind)).rejects.toMatchObject({
      name: 'UnsupportedOperationException',
      message:
        'KeySpec ML_KEM_512 needs CKM_ML_KEM_KEY_PAIR_GEN and CKM_ML_KEM, which failed the self-test of the token that has them.',
    })
  })
})
