/**
 * Keys that not every token of a region can keep: a daemon on SoftHSM, which wraps no Ed25519 key and knows no ML-KEM, and on
 * an NSS that does. What one token made serves through that token, and through every one that can take it back.
 */
import { createPrivateKey, createPublicKey, decapsulate, encapsulate, verify } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { readCredentials } from '../../scripts/instance.ts'
import { DAY_MS } from '../../src/base/clock.ts'
import { compose, type Daemon } from '../../src/compose.ts'
import { loadConfiguration } from '../../src/config/load.ts'
import { isResidentCkaIdOf } from '../../src/formats/resident-key.ts'
import { kidOf } from '../../src/model/key-id.ts'
import type { ResidentObject } from '../../src/store/store.ts'
import { type Instance, makeInstance } from '../support/instance.ts'
import { makeNewerNssToken } from '../support/nss.ts'
import { waitUntil } from '../support/processes.ts'
import { asPinHolder, REGION, silentLogger } from '../support/tokens.ts'

const READY_MS = 60_000
const SIGNER = { KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' } as const
const Message = Buffer.from('attack at dawn')
const SIGNED = { Message, SigningAlgorithm: 'ED25519_SHA_512' } as const
const ML_KEM = { EncapsulationAlgorithm: 'ML_KEM' } as const
/** FIPS 203 section 8, table 3. NSS has no ML-KEM-512. */
const SIZES = [
  ['ML_KEM_768', 1_184, 1_088],
  ['ML_KEM_1024', 1_568, 1_568],
] as const
const SPKI_OVERHEAD_BYTES = 22

let instance: Instance
let path: string
let daemon: Daemon
let offsetMs = 0
const clients: KMS[] = []

async function startDaemon(): Promise<void> {
  daemon = await compose(loadConfiguration(path), { clock: () => Date.now() + offsetMs, logger: silentLogger })
  await waitUntil(allServe, READY_MS)
}

/** Both tokens, by other hosts than those. */
function allServe(gone: readonly number[] = []): boolean {
  const { members, tokens } = daemon.pools.get(REGION)!
  const isAnew = members.every(({ pids }) => pids.length > 0 && !pids.some(pid => gone.includes(pid)))
  return isAnew && tokens.filter(({ serving }) => serving).length === 2
}

async function restartDaemon(): Promise<void> {
  await daemon[Symbol.asyncDispose]()
  await startDaemon()
}

function kms(): KMS {
  const { endpoint } = daemon
  const credentials = readCredentials(instance.stateDir)
  const client = new KMS({ endpoint, region: REGION, credentials, maxAttempts: 1, systemClockOffset: offsetMs })
  clients.push(client)
  return client
}

async function makeKey(kind: Parameters<KMS['createKey']>[0]): Promise<string> {
  return (await kms().createKey(kind)).KeyMetadata!.KeyId!
}

const rows = async (keyId: string): Promise<ResidentObject[]> => {
  const all = await instance.withStore(store => store.reader.listResidentObjects(REGION))
  return all.filter(({ ckaId }) => isResidentCkaIdOf(ckaId, kidOf(keyId)))
}

/** Private HBKs as objects of the SoftHSM token. */
async function privateObjects(): Promise<number> {
  const labels = await asPinHolder(instance.locations.soft!, 'listObjects', {})
  return labels.filter(each => each.startsWith('private strongroom/hbk/')).length
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
  instance = await makeInstance(['soft'])
  mkdirSync(join(instance.folder, 'newer'))
  const newer = makeNewerNssToken(join(instance.folder, 'newer'), 'newer')
  path = instance.configure(['soft', newer], { jobs: { deletionIntervalMs: 1_000 } })
  const args = ['init', '--so-pin-file', instance.officerPinFile, '--allow-open-token']
  expect(await instance.run(args)).toMatchObject({ code: 0 })
  await startDaemon()
  const homes = daemon.pools.get(REGION)!.members.map(({ label, profile }) => [label, profile!.privateKeys])
  expect(Object.fromEntries(homes)).toMatchObject({
    soft: { EC_EDWARDS: 'resident', ML_KEM_512: 'none', ML_KEM_768: 'none', ML_KEM_1024: 'none' },
    newer: { EC_EDWARDS: 'resident', ML_KEM_512: 'none', ML_KEM_768: 'ekt', ML_KEM_1024: 'ekt' },
  })
})

describe('an Ed25519 key', () => {
  it('resides in the token with the fewest, and signs there whatever else is busy', async () => {
    const keys = [await makeKey(SIGNER), await makeKey(SIGNER)]
    const homes = (await Promise.all(keys.map(rows))).flat()
    expect(homes).toMatchObject([{ state: 'ready' }, { state: 'ready' }])
    expect(new Set(homes.map(({ serial }) => serial)).size).toBe(2)
    for (const KeyId of keys) {
      const publicKey = await publicKeyOf(KeyId)
      for (let time = 0; time < 4; time += 1) {
        const { Signature } = await kms().sign({ KeyId, ...SIGNED })
        expect(verify(null, Message, publicKey, Signature!)).toBe(true)
      }
    }
  })

  it('is there after a restart, and after its host was killed', async () => {
    const keys = [await makeKey(SIGNER), await makeKey(SIGNER)]
    const sign = async (KeyId: string) => Buffer.from((await kms().sign({ KeyId, ...SIGNED })).Signature!)
    const before = await Promise.all(keys.map(sign))
    await restartDaemon()
    expect(await Promise.all(keys.map(sign))).toEqual(before)
    const pids = daemon.pools.get(REGION)!.members.flatMap(member => member.pids)
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    await waitUntil(() => allServe(pids), READY_MS)
    expect(await Promise.all(keys.map(sign))).toEqual(before)
  })

  it('is destroyed in its token when it is deleted', async () => {
    const keys = [await makeKey(SIGNER), await makeKey(SIGNER)]
    const before = await privateObjects()
    for (const KeyId of keys) await kms().scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })
    offsetMs += 8 * DAY_MS
    await waitUntil(async () => (await Promise.all(keys.map(rows))).flat().length === 0, READY_MS)
    // One of the two resides in the other token.
    expect(await privateObjects()).toBe(before - 1)
    for (const KeyId of keys) await expect(kms().sign({ KeyId, ...SIGNED })).rejects.toThrow('does not exist')
  })
})

describe('an ML-KEM key', () => {
  it.each(SIZES)('of %s is an EKT of the token that knows it', async (KeySpec, keyBytes, ciphertextBytes) => {
    const KeyId = await makeKey({ KeySpec, KeyUsage: 'ENCAPSULATE_DECAPSULATE' })
    expect(await rows(KeyId)).toEqual([])
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
})

describe('keys that no token of the region can make', () => {
  it.each([
    ['ML_DSA_65', 'CKM_ML_DSA_KEY_PAIR_GEN and CKM_ML_DSA, which no token of this Region has.'],
    ['SM2', 'a mechanism that PKCS#11 does not have.'],
    ['ML_KEM_512', 'CKM_ML_KEM_KEY_PAIR_GEN and CKM_ML_KEM, which failed the self-test of the token that has them.'],
  ] as const)('%s are refused, with what is missing', async (KeySpec, missing) => {
    const KeyUsage = KeySpec === 'ML_KEM_512' ? 'ENCAPSULATE_DECAPSULATE' : 'SIGN_VERIFY'
    await expect(kms().createKey({ KeySpec, KeyUsage })).rejects.toMatchObject({
      name: 'UnsupportedOperationException',
      message: `KeySpec ${KeySpec} needs ${missing}`,
    })
  })
})
