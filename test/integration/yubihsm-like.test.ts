/**
 * A region of tokens that can neither derive nor wrap nor run AES-GCM: the daemon, the command and the AWS SDK on them. Each
 * key resides in one of the tokens; what a crash, a full token, a token that is away and an old database make of that.
 */
import { copyFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { buildFaultyModule, callsOf, type FaultyModule, makeFaulty } from '../../scripts/chaos/faulty-module.ts'
import { readCredentials } from '../../scripts/instance.ts'
import { DAY_MS } from '../../src/base/clock.ts'
import { compose, type Daemon } from '../../src/compose.ts'
import { loadConfiguration } from '../../src/config/load.ts'
import { parseCiphertext } from '../../src/formats/ciphertext.ts'
import { isResidentCkaIdOf } from '../../src/formats/resident-key.ts'
import { kidOf } from '../../src/model/key-id.ts'
import type { ResidentObject } from '../../src/store/records.ts'
import { type Instance, makeInstance } from '../support/instance.ts'
import { childrenOf, waitUntil, waitUntilGone } from '../support/processes.ts'
import { asPinHolder, REGION, silentLogger } from '../support/tokens.ts'
import { likeYubiHsm } from '../support/yubihsm-like.ts'

const CKR_DEVICE_MEMORY = 0x31
const CKR_TOKEN_NOT_PRESENT = 0xe0
const MAX_WAIT_MS = 1_000
const BACK_MS = 30_000
const SETTINGS = { hsm: { maxWaitMs: MAX_WAIT_MS, healthIntervalMs: 1_000 } }

let instance: Instance
let path: string
/** The tokens, each behind a module that can be told to fail. */
let modules: Readonly<Record<string, FaultyModule>>
let daemon: Daemon
let offsetMs = 0
const clients: KMS[] = []

async function makeRegion(labels: readonly string[]): Promise<void> {
  offsetMs = 0
  instance = await makeInstance(labels)
  const library = buildFaultyModule(instance.folder)
  modules = Object.fromEntries(
    labels.map(label => {
      const location = likeYubiHsm(instance.locations[label]!)
      return [label, makeFaulty(instance.folder, label, library, location)]
    }),
  )
  path = instance.configure(
    labels.map(label => modules[label]!.location),
    SETTINGS,
  )
}

async function startDaemon(): Promise<void> {
  daemon = await compose(loadConfiguration(path), { clock: () => Date.now() + offsetMs, logger: silentLogger })
  await daemon.whenReady(BACK_MS)
}

async function stopDaemon(): Promise<void> {
  await daemon?.[Symbol.asyncDispose]()
}

function kms(endpoint = daemon.endpoint): KMS {
  const credentials = readCredentials(instance.stateDir)
  const client = new KMS({ endpoint, region: REGION, credentials, maxAttempts: 1, systemClockOffset: offsetMs })
  clients.push(client)
  return client
}

async function makeKey(client = kms()): Promise<string> {
  return (await client.createKey({})).KeyMetadata!.KeyId!
}

const rows = (): Promise<ResidentObject[]> => instance.withStore(store => store.reader.listResidentObjects(REGION))

/** Where a key resides: the label of its token. */
async function tokenOf(keyId: string): Promise<string> {
  const pool = daemon.pools.get(REGION)!
  const object = (await rows()).find(({ ckaId }) => isResidentCkaIdOf(ckaId, kidOf(keyId)))
  return pool.tokens.find(({ serial }) => serial === object?.serial)!.label
}

/** HBKs in a token, without the one of the daemon's own. */
async function hbksIn(label: string): Promise<number> {
  const labels = await asPinHolder(likeYubiHsm(instance.locations[label]!), 'listObjects', {})
  return labels.filter(each => each.startsWith('secret strongroom/hbk/')).length
}

async function takeAway(label: string): Promise<void> {
  const pool = daemon.pools.get(REGION)!
  modules[label]!.set('fail', CKR_TOKEN_NOT_PRESENT)
  await waitUntil(() => !pool.tokens.some(token => token.label === label && token.serving), BACK_MS)
}

async function bringBack(label: string): Promise<void> {
  const pool = daemon.pools.get(REGION)!
  modules[label]!.set('pass')
  await waitUntil(() => pool.tokens.some(token => token.label === label && token.serving), BACK_MS)
}

afterEach(() => {
  for (const client of clients.splice(0)) client.destroy()
})

describe('a region of two tokens that keep their keys', () => {
  beforeAll(async () => {
    await makeRegion(['a', 'b'])
    const { code, stdout, stderr } = await instance.init()
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/token "a" cannot wrap keys: each key will reside in one token and nowhere else/)
    expect(stdout).toMatch(/domain [0-9a-f]{32} is sealed/)
    expect(stdout).toMatch(/enrolled token "b"/)
    expect(stdout).toMatch(/check value of mac\.1/)
    expect(stdout).not.toMatch(/check value of dk/)
    await startDaemon()
  })

  afterAll(async () => {
    await stopDaemon()
    instance?.remove()
  })

  it('is initialised once: a second time changes nothing', async () => {
    const before = await rows()
    expect(await instance.init()).toMatchObject({ code: 0 })
    expect(await rows()).toEqual(before)
  })

  it('serves every operation through the SDK, with ciphertexts of suite 2', async () => {
    const KeyId = await makeKey()
    const EncryptionContext = { app: 'orders' }
    const { CiphertextBlob } = await kms().encrypt({ KeyId, Plaintext: Buffer.from('gold'), EncryptionContext })
    expect(parseCiphertext(Buffer.from(CiphertextBlob!)).suite).toBe(2)
    const opened = await kms().decrypt({ CiphertextBlob, EncryptionContext })
    expect(Buffer.from(opened.Plaintext!).toString()).toBe('gold')
    await expect(kms().decrypt({ CiphertextBlob })).rejects.toMatchObject({ name: 'InvalidCiphertextException' })
    const dataKey = await kms().generateDataKey({ KeyId, KeySpec: 'AES_256' })
    expect((await kms().decrypt({ CiphertextBlob: dataKey.CiphertextBlob })).Plaintext).toEqual(dataKey.Plaintext)
    const hidden = await kms().generateDataKeyWithoutPlaintext({ KeyId, NumberOfBytes: 24 })
    expect((await kms().decrypt({ CiphertextBlob: hidden.CiphertextBlob })).Plaintext).toHaveLength(24)
    expect((await kms().generateRandom({ NumberOfBytes: 40 })).Plaintext).toHaveLength(40)
  })

  it('spreads keys over the tokens, and re-encrypts from one to the other', async () => {
    const keys = [await makeKey(), await makeKey()]
    const where = await Promise.all(keys.map(tokenOf))
    expect(where.toSorted()).toEqual(['a', 'b'])
    const [from, to] = keys as [string, string]
    const { CiphertextBlob } = await kms().encrypt({ KeyId: from, Plaintext: Buffer.from('moves') })
    const moved = await kms().reEncrypt({
      CiphertextBlob,
      DestinationKeyId: to,
      DestinationEncryptionContext: { a: 'b' },
    })
    expect(moved.KeyId).toContain(to)
    const opened = await kms().decrypt({ CiphertextBlob: moved.CiphertextBlob, EncryptionContext: { a: 'b' } })
    expect(Buffer.from(opened.Plaintext!).toString()).toBe('moves')
    const again = await kms().reEncrypt({ CiphertextBlob, DestinationKeyId: from })
    expect((await kms().decrypt({ CiphertextBlob: again.CiphertextBlob })).KeyId).toContain(from)
  })

  it('serves the keys of the token that is left, says of the others that they are unavailable, and makes new ones', async () => {
    const [one, other] = [await makeKey(), await makeKey()]
    const away = (await tokenOf(one)) === 'b' ? one : other
    const here = away === one ? other : one
    const client = kms()
    const encrypt = (KeyId: string) => client.encrypt({ KeyId, Plaintext: Buffer.from('x') })
    await encrypt(here)
    await takeAway('b')
    const startedAt = performance.now()
    await expect(encrypt(away)).rejects.toMatchObject({ name: 'KeyUnavailableException' })
    expect(performance.now() - startedAt).toBeLessThan(MAX_WAIT_MS + 5_000)
    await encrypt(here)
    expect(await tokenOf(await makeKey(client))).toBe('a')
    await bringBack('b')
    await encrypt(away)
  })

  it('destroys the HBK of a deleted key, as soon as its token is there', async () => {
    const [one, other] = [await makeKey(), await makeKey()]
    const onB = (await tokenOf(one)) === 'b' ? one : other
    const onA = onB === one ? other : one
    for (const KeyId of [onA, onB]) await kms().scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })
    const before = { a: await hbksIn('a'), b: await hbksIn('b') }
    await takeAway('b')
    offsetMs += 8 * DAY_MS
    expect(await daemon.deleteDueKeys()).toBe(2)
    expect(await hbksIn('a')).toBe(before.a - 1)
    expect(await hbksIn('b')).toBe(before.b)
    expect((await rows()).filter(({ state }) => state === 'destroying')).toHaveLength(1)
    // What is owed outlives the daemon.
    await stopDaemon()
    modules.b!.set('pass')
    await startDaemon()
    await waitUntil(async () => {
      await daemon.deleteDueKeys()
      return (await hbksIn('b')) === before.b - 1
    }, BACK_MS)
    await waitUntil(async () => (await rows()).every(({ state }) => state === 'ready'), BACK_MS)
    await expect(kms().describeKey({ KeyId: onB })).rejects.toMatchObject({ name: 'NotFoundException' })
  })

  it('gives users access keys whose secrets are sealed under a resident HBK', async () => {
    expect(await instance.run(['identity', 'create', 'bob', '--full-access'])).toMatchObject({ code: 0 })
    const created = await instance.run(['identity', 'access-key', 'create', 'bob', '-o', 'json'])
    expect(created).toMatchObject({ code: 0 })
    const { accessKeyId, secretAccessKey } = JSON.parse(created.stdout) as Record<string, string>
    const credentials = { accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! }
    const { endpoint } = daemon
    const bob = new KMS({ endpoint, region: REGION, credentials, maxAttempts: 1, systemClockOffset: offsetMs })
    clients.push(bob)
    expect((await bob.listKeys({})).Keys!.length).toBeGreaterThan(0)
  })

  it('rotates no domain key, since it has none, and lets no token go that keeps keys', async () => {
    await makeKey()
    await makeKey()
    expect(await instance.run(['domain', 'rotate', '--so-pin-file', instance.officerPinFile])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('it has no domain key to rotate'),
    })
    const retired = await instance.run(['domain', 'retire', '--token', 'b'])
    expect(retired).toMatchObject({ code: 1, stderr: expect.stringContaining('keys reside in "b"') })
    expect(await hbksIn('b')).toBeGreaterThan(0)
  })

  it('tells an operator what is in the tokens', async () => {
    const { code, stdout } = await instance.run(['hsm', 'resident-keys', '--output', 'json'])
    const reports = JSON.parse(stdout) as { hsm: string; keys: number }[]
    expect({ code, reports }).toMatchObject({
      code: 0,
      reports: ['a', 'b'].map(hsm => ({ hsm, orphans: [], missing: [], toDestroy: [] })),
    })
    for (const { hsm, keys } of reports) expect(keys).toBe(await hbksIn(hsm))
  })
})

describe('a token that keeps its keys', () => {
  beforeEach(async () => {
    await makeRegion(['only'])
    expect(await instance.init()).toMatchObject({ code: 0 })
  })

  afterEach(async () => {
    await stopDaemon()
    instance?.remove()
  })

  it('makes no key when it is full, and leaves nothing half done', async () => {
    await startDaemon()
    const KeyId = await makeKey()
    const before = await rows()
    modules.only!.set('fail', CKR_DEVICE_MEMORY, callsOf('C_GenerateKey'))
    await expect(makeKey()).rejects.toMatchObject({
      name: 'LimitExceededException',
      message: 'The HSMs of the region have no room for another key.',
    })
    expect(await rows()).toEqual(before)
    await kms().encrypt({ KeyId, Plaintext: Buffer.from('still serves') })
    modules.only!.set('pass')
    await makeKey()
  })

  it.each([
    { where: 'before the object is made', call: 'C_GenerateKey', waitMs: 2_000, orphans: 0 },
    { where: 'between the object and its record', call: 'C_SignInit', waitMs: 350, orphans: 1 },
  ] as const)('has no half key after kill -9 $where', async ({ call, waitMs, orphans }) => {
    const served = await instance.serve()
    const client = kms(served.endpoint)
    const KeyId = await makeKey(client)
    const before = { rows: await rows(), hbks: await hbksIn('only') }
    const made = modules.only!.objects()
    modules.only!.set('wait', waitMs, callsOf(call))
    const creating = makeKey(client)
    creating.catch(() => {})
    await waitUntil(async () => (await rows()).length > before.rows.length, BACK_MS)
    await waitUntil(() => modules.only!.objects() === made + orphans, BACK_MS)
    const hosts = childrenOf(served.pid).map(({ pid }) => pid)
    process.kill(served.pid, 'SIGKILL')
    await served.ended
    await waitUntilGone(hosts, BACK_MS)
    await expect(creating).rejects.toThrow()
    modules.only!.set('pass')

    // Long enough after that no creation can be in progress.
    offsetMs += DAY_MS
    await startDaemon()
    expect((await kms().listKeys({})).Keys!.map(key => key.KeyId)).toEqual([KeyId])
    await kms().encrypt({ KeyId, Plaintext: Buffer.from('x') })
    const { code, stdout } = await instance.run(['hsm', 'resident-keys', '--output', 'json'])
    const [report] = JSON.parse(stdout) as { orphans: string[]; missing: string[] }[]
    expect({ code, orphans: report!.orphans.length, missing: report!.missing }).toEqual({
      ...{ code: orphans === 0 ? 0 : 1, orphans, missing: [] },
    })
    // The object is left alone; a row without one is forgotten.
    expect(await hbksIn('only')).toBe(before.hbks + orphans)
    expect(await rows()).toHaveLength(before.rows.length + orphans)
  })

  it('keeps the objects of keys that a restored database does not know (18)', async () => {
    await startDaemon()
    const old = await makeKey()
    await stopDaemon()
    const database = join(instance.stateDir, 'strongroom.db')
    copyFileSync(database, `${database}.old`)
    await startDaemon()
    const younger = await makeKey()
    const { CiphertextBlob } = await kms().encrypt({ KeyId: younger, Plaintext: Buffer.from('newer') })
    await stopDaemon()
    copyFileSync(database, `${database}.new`)
    const restore = async (from: string) => {
      for (const suffix of ['-wal', '-shm']) rmSync(`${database}${suffix}`, { force: true })
      copyFileSync(from, database)
      expect(await instance.run(['store', 'accept-older'])).toMatchObject({ code: 0, stderr: '' })
    }

    await restore(`${database}.old`)
    await startDaemon()
    await expect(kms().describeKey({ KeyId: younger })).rejects.toMatchObject({ name: 'NotFoundException' })
    await kms().encrypt({ KeyId: old, Plaintext: Buffer.from('x') })
    await daemon.deleteDueKeys()
    const { stdout } = await instance.run(['hsm', 'resident-keys', '--output', 'json'])
    const [report] = JSON.parse(stdout) as { orphans: string[] }[]
    expect(report!.orphans.map(ckaId => isResidentCkaIdOf(Buffer.from(ckaId, 'hex'), kidOf(younger)))).toEqual([true])
    await stopDaemon()

    await restore(`${database}.new`)
    await startDaemon()
    const opened = await kms().decrypt({ CiphertextBlob })
    expect(Buffer.from(opened.Plaintext!).toString()).toBe('newer')
  })
})

describe('init', () => {
  afterEach(() => instance?.remove())

  it.each([
    { first: 'a token that wraps', configure: () => ['whole', likeYubiHsm(instance.locations.poor!)] },
    { first: 'one that keeps its keys', configure: () => [likeYubiHsm(instance.locations.poor!), 'whole'] },
  ])('refuses a region of both kinds, $first first', async ({ configure }) => {
    instance = await makeInstance(['whole', 'poor'])
    instance.configure(configure())
    const { code, stderr } = await instance.init()
    expect(code).toBe(1)
    expect(stderr).toContain('such tokens cannot share a region')
    expect(stderr).toContain('token "whole" (SoftHSM 2) offers RFC5649')
    expect(stderr).toContain('token "poor" (SoftHSM 2) offers resident; SP800-108-HMAC-SHA256')
  })

  it('says that a region has one token where none can be carried to', async () => {
    instance = await makeInstance(['one', 'two'])
    const [one, two] = ['one', 'two'].map(label => likeYubiHsm(instance.locations[label]!, ['RSA_PKCS_OAEP']))
    instance.configure([one!, two!])
    expect(await instance.init()).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no domain can be carried to it, so its region has one token'),
    })
    instance.configure([one!])
    expect(await instance.init()).toMatchObject({ code: 0 })
  })
})
