/**
 * The `strongroom domain` commands beside a daemon that serves: a rotation, a token that leaves and comes back, and the end of
 * a version, under a load of which no request may fail.
 */
import { createPublicKey, randomBytes, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type KeySpec, KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { readCredentials } from '../../../scripts/instance.ts'
import type { Readiness } from '../../../src/admin/health.ts'
import { rotateDomain } from '../../../src/cli/ceremonies/rotate-domain.ts'
import type { ShownDomain } from '../../../src/cli/ceremonies/show-domain.ts'
import { PoolsOnDemand, protectRows } from '../../../src/compose-rows.ts'
import { loadConfiguration } from '../../../src/config/load.ts'
import { openStore } from '../../../src/store/open-store.ts'
import type { Store } from '../../../src/store/store.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { wrapMaterial } from '../../support/import.ts'
import { type Instance, makeInstance, type Serving } from '../../support/instance.ts'
import { type LoadResult, startLoad } from '../../support/load.ts'
import { waitUntil } from '../../support/processes.ts'
import { asPinHolder, REGION, silentLogger } from '../../support/tokens.ts'

/** Each test runs several commands, each of which starts processes of its own, beside a load. */
jest.setTimeout(300_000)
const LANES = 3
const KEYS = 12
const PLAINTEXT = Buffer.from('written before')

let instance: Instance
let daemon: Serving
let kms: KMS
/** Made at the start: key id and a ciphertext under it. */
const written: { keyId: string; blob: Uint8Array }[] = []
/** Keys of every other kind, made at the start, with a way to see that one is still the same. */
const others: { what: string; sameAsEver: () => Promise<boolean> }[] = []

let waiting: Awaited<ReturnType<typeof makeWaiting>>

beforeAll(async () => {
  instance = await makeInstance(['a', 'b'])
  instance.configure(['a', 'b'])
  expect(await instance.init()).toMatchObject({ code: 0 })
  daemon = await instance.serve()
  const credentials = readCredentials(instance.stateDir)
  kms = new KMS({ endpoint: daemon.endpoint, region: REGION, credentials, maxAttempts: 1 })
  for (let at = 0; at < KEYS; at += 1) written.push(await write())
  for (const spec of ['RSA_2048', 'RSA_3072', 'ECC_NIST_P256', 'ECC_NIST_P521', 'ECC_SECG_P256K1'] as const)
    others.push(await makeSigner(spec))
  others.push(await makeMacKey(), await makeRsaEncrypter())
  waiting = await makeWaiting()
})

afterAll(async () => {
  kms?.destroy()
  if (daemon !== undefined) {
    process.kill(daemon.pid, 'SIGTERM')
    expect(await daemon.ended).toBe(0)
  }
  instance?.remove()
})

async function write(): Promise<{ keyId: string; blob: Uint8Array }> {
  const { KeyMetadata } = await kms.createKey({})
  const keyId = KeyMetadata!.KeyId!
  const { CiphertextBlob } = await kms.encrypt({ KeyId: keyId, Plaintext: PLAINTEXT })
  return { keyId, blob: CiphertextBlob! }
}

/** Its signature verifies with the public key that was handed out at the start, which the EKT fixes too. */
async function makeSigner(KeySpec: KeySpec): Promise<(typeof others)[number]> {
  const KeyId = (await kms.createKey({ KeySpec, KeyUsage: 'SIGN_VERIFY' })).KeyMetadata!.KeyId!
  const { PublicKey, SigningAlgorithms } = await kms.getPublicKey({ KeyId })
  const key = createPublicKey({ key: Buffer.from(PublicKey!), format: 'der', type: 'spki' })
  const SigningAlgorithm = SigningAlgorithms!.find(name => !name.includes('PSS'))!
  return {
    what: KeySpec,
    async sameAsEver() {
      const { Signature } = await kms.sign({ KeyId, Message: PLAINTEXT, SigningAlgorithm })
      return verify(`sha${SigningAlgorithm.slice(-3)}`, PLAINTEXT, key, Signature!)
    },
  }
}

async function makeMacKey(): Promise<(typeof others)[number]> {
  const kind = { KeySpec: 'HMAC_384', KeyUsage: 'GENERATE_VERIFY_MAC' } as const
  const KeyId = (await kms.createKey(kind)).KeyMetadata!.KeyId!
  const request = { KeyId, Message: PLAINTEXT, MacAlgorithm: 'HMAC_SHA_384' } as const
  const { Mac } = await kms.generateMac(request)
  return {
    what: kind.KeySpec,
    sameAsEver: async () => Buffer.from((await kms.generateMac(request)).Mac!).equals(Mac!),
  }
}

async function makeRsaEncrypter(): Promise<(typeof others)[number]> {
  const kind = { KeySpec: 'RSA_2048', KeyUsage: 'ENCRYPT_DECRYPT' } as const
  const KeyId = (await kms.createKey(kind)).KeyMetadata!.KeyId!
  const EncryptionAlgorithm = 'RSAES_OAEP_SHA_256'
  const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: PLAINTEXT, EncryptionAlgorithm })
  return {
    what: 'RSA_2048 that decrypts',
    async sameAsEver() {
      const { Plaintext } = await kms.decrypt({ KeyId, CiphertextBlob, EncryptionAlgorithm })
      return Buffer.from(Plaintext!).equals(PLAINTEXT)
    },
  }
}

/** A key that waits for material, with what the material is to be wrapped under. */
async function makeWaiting() {
  const KeyId = (await kms.createKey({ Origin: 'EXTERNAL' })).KeyMetadata!.KeyId!
  const wrapping = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' } as const
  return { ...(await kms.getParametersForImport({ KeyId, ...wrapping })), KeyId, ...wrapping }
}

async function changedKeys(): Promise<string[]> {
  const changed: string[] = []
  for (const { what, sameAsEver } of others) if (!(await sameAsEver())) changed.push(what)
  return changed
}

/** Old ciphertexts are opened, data keys and new keys are made, until `work` is done. */
async function underLoad<T>(work: () => Promise<T>): Promise<{ result: T; load: LoadResult }> {
  let turn = 0
  const load = startLoad(LANES, async () => {
    turn += 1
    const { keyId, blob } = written[turn % written.length]!
    const { Plaintext } = await kms.decrypt({ CiphertextBlob: blob })
    if (!Buffer.from(Plaintext!).equals(PLAINTEXT)) throw new Error('another plaintext')
    await kms.generateDataKey({ KeyId: keyId, KeySpec: 'AES_256' })
    if (turn % 20 === 0) written.push(await write())
  })
  try {
    const result = await work()
    // What the daemon has still to learn of, it learns under the same load.
    await new Promise(resolve => setTimeout(resolve, 2_000))
    return { result, load: await load.stop() }
  } finally {
    await load.stop()
  }
}

async function show(): Promise<ShownDomain> {
  const { code, stdout, stderr } = await instance.run(['domain', 'show', '--output', 'json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return (JSON.parse(stdout) as ShownDomain[])[0]!
}

/** Labels of the tokens that the daemon's pool has, in this state or in any. */
async function pooled(state?: string): Promise<string[]> {
  const { regions } = (await (await fetch(`${daemon.adminEndpoint}/readyz`)).json()) as Readiness
  return regions
    .flatMap(({ hsms }) => hsms)
    .filter(hsm => state === undefined || hsm.state === state)
    .map(({ hsm }) => hsm)
    .toSorted()
}

const officer = () => ['--so-pin-file', instance.officerPinFile]
/** What a token remembers of the key store comes with the daemon's next look at its clock. */
const keysIn = (objects: readonly string[]) => objects.filter(object => !object.startsWith('data '))
const objectsOf = (label: string) => asPinHolder(instance.locations[label]!, 'listObjects', {})

describe('beside a daemon that serves', () => {
  it('the domain is shown with what each token holds', async () => {
    const shown = await show()
    expect(shown).toMatchObject({ region: REGION, sealed: true, writeVersion: 1, rotation: null })
    for (const { state, unreachable, versions, keys } of shown.tokens) {
      expect({ state, unreachable, versions }).toEqual({ state: 'enrolled', unreachable: null, versions: [1] })
      expect(keys.map(({ key, holds, matches }) => [key, holds, matches])).toEqual([
        ['dk.1', 'makes and uses', true],
        ['mac.1', 'makes and uses', true],
      ])
    }
  })

  it('a rotation fails no request', async () => {
    const { result, load } = await underLoad(() => instance.run(['domain', 'rotate', ...officer()]))
    expect(result).toMatchObject({ code: 0 })
    expect(result.stderr).toMatch(/\d+ of \d+ records/)
    if (load.failures.length > 0) console.log(daemon.log())
    expect(load.failures).toEqual([])
    expect(load.answered).toBeGreaterThan(10)
    const { versions, writeVersion, rotation } = await show()
    expect({ writeVersion, rotation }).toEqual({ writeVersion: 2, rotation: null })
    expect(versions.find(({ key }) => key === 'dk.1')).toMatchObject({ state: 'active', records: 0 })
    for (const { checkValue, key } of versions.filter(each => each.key.endsWith('.2')))
      expect(result.stdout).toMatch(new RegExp(`check value of ${key} of domain [0-9a-f]{32} is ${checkValue}\n`))
    expect(daemon.log()).toContain('domain has changed')
    expect(await changedKeys()).toEqual([])
  })

  it('a token that is retired fails no request, holds nothing, and the last one is not let go', async () => {
    const { result, load } = await underLoad(() => instance.run(['domain', 'retire', '--token', 'b']))
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(load.failures).toEqual([])
    expect(await objectsOf('b')).toEqual([])
    const last = await instance.run(['domain', 'retire', '--token', 'a'])
    expect(last.code).toBe(1)
    expect(last.stderr).toContain('is the last token of the domain')
    const { tokens } = await show()
    expect(tokens.map(({ label, state, versions }) => [label, state, versions])).toEqual([
      ['a', 'enrolled', [1, 2]],
      ['b', 'retired', []],
    ])
    // The daemon lets go of it by itself, and so do the metrics.
    await waitUntil(async () => (await pooled()).join() === 'a', 20_000)
    const metrics = await (await fetch(`${daemon.adminEndpoint}/metrics`)).text()
    expect(metrics.match(/^strongroom_hsm_hosts\{.*\}/gm)).toEqual([expect.stringContaining('token="a"')])
  })

  it('init leaves a retired token as it is, and enrol brings it back when a person has compared the fingerprints', async () => {
    const again = await instance.init()
    expect(again.stdout).toMatch(/token "b" \([0-9a-f]+\) is retired, and stays so/)
    const pin = readFileSync(instance.officerPinFile, 'utf8')
    const refused = await instance.run(['domain', 'enrol', '--token', 'b'], `no\n${pin}`)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('the fingerprints were not confirmed')
    expect(await objectsOf('b')).toEqual([])
    const { result, load } = await underLoad(() =>
      instance.run(['domain', 'enrol', '--token', 'b', '--output', 'json'], `yes\n${pin}`),
    )
    expect(result.code).toBe(0)
    expect(load.failures).toEqual([])
    // Of the version before it holds what opens, not what makes.
    expect(keysIn(await objectsOf('b'))).toEqual(keysIn(await objectsOf('a')))
    const shown = JSON.parse(result.stdout) as ShownDomain
    expect(shown.tokens.find(({ label }) => label === 'b')).toMatchObject({ state: 'enrolled', versions: [1, 2] })
    await waitUntil(async () => (await pooled('healthy')).join() === 'a,b', 30_000)
  })

  it('material is imported under the wrapping key that was handed out before the rotation', async () => {
    const { KeyId, ImportToken, PublicKey, WrappingAlgorithm } = waiting
    const EncryptedKeyMaterial = wrapMaterial(WrappingAlgorithm, PublicKey!, randomBytes(32))
    const material = { KeyId, ImportToken, EncryptedKeyMaterial }
    await kms.importKeyMaterial({ ...material, ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' })
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: PLAINTEXT })
    expect(Buffer.from((await kms.decrypt({ CiphertextBlob })).Plaintext!)).toEqual(PLAINTEXT)
  })

  it('a version is destroyed once its retention has ended, or by force, and fails no request', async () => {
    const early = await instance.run(['domain', 'destroy-version', '--version', '1'])
    expect(early.code).toBe(1)
    expect(early.stderr).toMatch(/backups may need version 1 until 20\d\d-.*--force-before-retention/)
    const current = await instance.run(['domain', 'destroy-version', '--version', '2', '--force-before-retention'])
    expect(current.stderr).toContain('version 2 is in use: rotate the domain first')
    const { result, load } = await underLoad(() =>
      instance.run(['domain', 'destroy-version', '--version', '1', '--force-before-retention']),
    )
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(result.stdout).toContain('no token holds version 1 any more')
    expect(load.failures).toEqual([])
    for (const label of ['a', 'b']) {
      const names = await objectsOf(label)
      expect(names.filter(name => name.includes('.1.'))).toEqual([])
      expect(names.filter(name => name.includes('.2.'))).toHaveLength(4)
    }
    const again = await instance.run(['domain', 'destroy-version', '--version', '1'])
    expect(again).toMatchObject({ code: 0, stderr: '' })
  })

  it('everything written since the start opens, and the daemon makes access keys with its own HBK', async () => {
    for (const { blob } of written)
      expect(Buffer.from((await kms.decrypt({ CiphertextBlob: blob })).Plaintext!)).toEqual(PLAINTEXT)
    const made = await instance.run(['identity', 'access-key', 'create', 'admin', '--output', 'json'])
    expect(made).toMatchObject({ code: 0 })
    const { accessKeyId, secretAccessKey } = JSON.parse(made.stdout)
    const credentials = { accessKeyId, secretAccessKey }
    const other = new KMS({ endpoint: daemon.endpoint, region: REGION, credentials, maxAttempts: 1 })
    await waitUntil(() => other.listKeys({}).then(() => true), 5_000)
    other.destroy()
  })

  it('history tells who did what, failures too', async () => {
    const { stdout } = await instance.run(['domain', 'history', '--output', 'json'])
    const records = JSON.parse(stdout) as { command: string; what: string; outcome: string; by: string }[]
    const commands = new Set(records.map(({ command }) => command))
    expect([...commands]).toEqual(['init', 'domain rotate', 'domain retire', 'domain enrol', 'domain destroy-version'])
    for (const { by } of records) expect(by).toMatch(new RegExp(` \\(${process.getuid!()}\\)$`))
    expect(records.find(({ what }) => what.includes('withdrew version 1'))?.what).toContain('before its retention')
    expect(records.filter(({ outcome }) => outcome === 'failed').map(({ command }) => command)).toEqual([
      ...['domain retire', 'domain enrol', 'domain destroy-version', 'domain destroy-version'],
    ])
  })

  it('a rotation that waits for no daemon fails no request either', async () => {
    const configuration = loadConfiguration(join(instance.folder, 'strongroom.yaml'))
    const logger = silentLogger
    await using pools = new PoolsOnDemand(REGION, configuration, { store: () => store, logger })
    const rows = protectRows(pools, { metrics: new Metrics(), logger })
    const store: Store = await openStore({ path: join(instance.stateDir, 'strongroom.db'), rows })
    try {
      const officerPin = async () => ({ file: instance.officerPinFile })
      const parts = { store, clock: Date.now, logger: silentLogger, say() {}, officerPin }
      const tokens = ['a', 'b'].map(label => instance.locations[label]!)
      const { load } = await underLoad(() => rotateDomain({ ...parts, settleMs: 0 }, { name: REGION, tokens }))
      if (load.failures.length > 0) console.log(daemon.log())
      expect(load.failures).toEqual([])
      for (const { blob } of written)
        expect(Buffer.from((await kms.decrypt({ CiphertextBlob: blob })).Plaintext!)).toEqual(PLAINTEXT)
    } finally {
      await store.close()
    }
  })

  it('only one ceremony runs at a time', async () => {
    const outcomes = await Promise.all([1, 2].map(() => instance.run(['domain', 'rotate', ...officer()])))
    expect(outcomes.map(({ code }) => code).toSorted()).toEqual([0, 1])
    expect(outcomes.find(({ code }) => code === 1)?.stderr).toMatch(/another ceremony/)
  })
})
