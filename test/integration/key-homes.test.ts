/**
 * Keys that tokens keep because they wrap none of their kind: a daemon on SoftHSM and on NSS, which both make Ed25519 keys and
 * do not take them back. What one token made serves through that token.
 */
import { createPublicKey, verify } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { DAY_MS } from '../../src/base/clock.ts'
import { isResidentCkaIdOf } from '../../src/formats/resident-key.ts'
import { kidOf } from '../../src/model/key-id.ts'
import type { ResidentObject } from '../../src/store/records.ts'
import { type ComposedDaemon, composeDaemon } from '../support/composed-daemon.ts'
import { type Instance, makeInstance } from '../support/instance.ts'
import { makeNewerNssToken } from '../support/nss.ts'
import { waitUntil } from '../support/processes.ts'
import { asPinHolder, REGION } from '../support/tokens.ts'

const READY_MS = 60_000
/** A ceremony starts several processes, on a machine that may be busy. */
const BUSY_MS = 240_000
const SIGNER = { KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY' } as const
const Message = Buffer.from('attack at dawn')
const SIGNED = { Message, SigningAlgorithm: 'ED25519_SHA_512' } as const

let instance: Instance
let path: string
let daemon: ComposedDaemon
const clock = { offsetMs: 0 }

async function startDaemon(): Promise<void> {
  daemon = await composeDaemon(instance, path, { clock })
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

const kms = () => daemon.client()

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
}, BUSY_MS)

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
    // One that has signed is held in memory by its token's host.
    for (const KeyId of keys) await kms().sign({ KeyId, ...SIGNED })
    for (const KeyId of keys) await kms().scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })
    clock.offsetMs += 8 * DAY_MS
    await waitUntil(async () => (await Promise.all(keys.map(rows))).flat().length === 0, READY_MS)
    // One of the two resides in the other token.
    expect(await privateObjects()).toBe(before - 1)
    for (const KeyId of keys) await expect(kms().sign({ KeyId, ...SIGNED })).rejects.toThrow('does not exist')
  })
})

describe('a rotation of the domain', () => {
  it(
    'leaves resident keys as usable as they were',
    async () => {
      const signers = [await makeKey(SIGNER), await makeKey(SIGNER)]
      const sign = async (KeyId: string) => Buffer.from((await kms().sign({ KeyId, ...SIGNED })).Signature!)
      const before = await Promise.all(signers.map(sign))
      const officer = ['--so-pin-file', instance.officerPinFile]
      expect(await instance.run(['domain', 'rotate', ...officer])).toMatchObject({ code: 0 })
      await restartDaemon()
      expect(await Promise.all(signers.map(sign))).toEqual(before)
      expect(await sign(await makeKey(SIGNER))).toHaveLength(64)
      const destroyed = await instance.run(['domain', 'destroy-version', '--version', '1', '--force-before-retention'])
      expect(destroyed).toMatchObject({ code: 0 })
      await restartDaemon()
      expect(await Promise.all(signers.map(sign))).toEqual(before)
    },
    BUSY_MS,
  )
})

describe('keys that no token of the region can make', () => {
  it.each([
    ['ML_DSA_65', 'CKM_ML_DSA_KEY_PAIR_GEN and CKM_ML_DSA, which no token of this Region has.'],
    ['SM2', 'a mechanism that PKCS#11 does not have.'],
    ['ML_KEM_768', 'CKM_ML_KEM_KEY_PAIR_GEN and CKM_ML_KEM, which not every token of this Region has.'],
  ] as const)('%s are refused, with what is missing', async (KeySpec, missing) => {
    const KeyUsage = KeySpec === 'ML_KEM_768' ? 'ENCAPSULATE_DECAPSULATE' : 'SIGN_VERIFY'
    await expect(kms().createKey({ KeySpec, KeyUsage })).rejects.toMatchObject({
      name: 'UnsupportedOperationException',
      message: `KeySpec ${KeySpec} needs ${missing}`,
    })
  })
})
