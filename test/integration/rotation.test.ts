/** Automatic rotation: a daemon in this process, with a clock that can be moved. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { DAY_MS } from '../../src/base/clock.ts'
import { askDaemon } from '../../src/cli/admin-client.ts'
import { loadConfiguration } from '../../src/config/load.ts'
import { openStateFolder } from '../../src/config/state-folder.ts'
import { type ComposedDaemon, composeDaemon } from '../support/composed-daemon.ts'
import { type Instance, makeInstance } from '../support/instance.ts'

let instance: Instance
let path: string
let daemon: ComposedDaemon
const clock = { offsetMs: 0 }

beforeAll(async () => {
  instance = await makeInstance(['a'])
  path = instance.configure(['a'], { jobs: { rotationIntervalMs: 86_400_000 } })
  expect(await instance.init()).toMatchObject({ code: 0 })
  daemon = await composeDaemon(instance, path, { clock })
})

afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]()
  instance?.remove()
})

const kms = () => daemon.client()

async function makeRotated(RotationPeriodInDays: number): Promise<string> {
  const KeyId = (await kms().createKey({})).KeyMetadata!.KeyId!
  await kms().enableKeyRotation({ KeyId, RotationPeriodInDays })
  return KeyId
}

async function rotationsOf(KeyId: string): Promise<number> {
  return (await kms().listKeyRotations({ KeyId })).Rotations!.length
}

describe('automatic rotation', () => {
  it('happens when the period has ended, and again one period later', async () => {
    const KeyId = await makeRotated(90)
    const { CiphertextBlob } = await kms().encrypt({ KeyId, Plaintext: Buffer.from('old') })
    expect(await daemon.rotateDueKeys()).toBe(0)
    clock.offsetMs += 90 * DAY_MS
    expect(await daemon.rotateDueKeys()).toBe(1)
    expect(await daemon.rotateDueKeys()).toBe(0)
    expect(await kms().listKeyRotations({ KeyId })).toMatchObject({ Rotations: [{ RotationType: 'AUTOMATIC' }] })
    const { Plaintext } = await kms().decrypt({ CiphertextBlob })
    expect(Buffer.from(Plaintext!).toString()).toBe('old')
    const { NextRotationDate } = await kms().getKeyRotationStatus({ KeyId })
    const days = (NextRotationDate!.getTime() - (Date.now() + clock.offsetMs)) / DAY_MS
    expect(days).toBeGreaterThan(89)
    expect(days).toBeLessThanOrEqual(90)
    clock.offsetMs += 90 * DAY_MS
    expect(await daemon.rotateDueKeys()).toBe(1)
    expect(await rotationsOf(KeyId)).toBe(2)
  })

  it('waits for a disabled key to be enabled again, and happens once then', async () => {
    const KeyId = await makeRotated(200)
    await kms().disableKey({ KeyId })
    clock.offsetMs += 450 * DAY_MS
    await daemon.rotateDueKeys()
    await kms().enableKey({ KeyId })
    expect(await rotationsOf(KeyId)).toBe(0)
    await daemon.rotateDueKeys()
    expect(await rotationsOf(KeyId)).toBe(1)
    await daemon.rotateDueKeys()
    expect(await rotationsOf(KeyId)).toBe(1)
  })

  it('makes one rotation of several runs at once', async () => {
    const KeyId = await makeRotated(90)
    clock.offsetMs += 91 * DAY_MS
    await Promise.all([daemon.rotateDueKeys(), daemon.rotateDueKeys(), daemon.rotateDueKeys()])
    expect(await rotationsOf(KeyId)).toBe(1)
  })

  it('happens to the keys of services every year, without anybody asking for it', async () => {
    const { account, stateDir } = loadConfiguration(path)
    const { adminSocket } = openStateFolder(stateDir)
    await askDaemon(adminSocket, 'identity/create', { account, kind: 'service', name: 'storage' })
    await askDaemon(adminSocket, 'identity/set-acts-for', { account, name: 'storage', accounts: [account] })
    const { KeyMetadata } = await kms().describeKey({ KeyId: 'alias/aws/storage' })
    const KeyId = KeyMetadata!.KeyId!
    for (const years of [1, 2]) {
      clock.offsetMs += 364 * DAY_MS
      await daemon.rotateDueKeys()
      expect(await rotationsOf(KeyId)).toBe(years - 1)
      clock.offsetMs += DAY_MS
      await daemon.rotateDueKeys()
      expect(await rotationsOf(KeyId)).toBe(years)
    }
  })

  it('refuses one on demand within 20 minutes before', async () => {
    const KeyId = await makeRotated(90)
    clock.offsetMs += 90 * DAY_MS - 10 * 60_000
    await expect(kms().rotateKeyOnDemand({ KeyId })).rejects.toMatchObject({ name: 'ConflictException' })
  })
})
