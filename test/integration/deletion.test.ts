/**
 * The end of a key: a daemon in this process, with a clock that can be moved. What is asserted of the database is read by
 * another process, so that SQLite's locks stay.
 */
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { DAY_MS } from '../../src/base/clock.ts'
import { decodeEkt } from '../../src/formats/ekt.ts'
import { Keyring } from '../../src/keyring/keyring.ts'
import type { KmsKey } from '../../src/model/key.ts'
import { newMultiRegionKeyId } from '../../src/model/key-id.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Reader, Store } from '../../src/store/store.ts'
import { DeletionJob, type DeletionParts } from '../../src/tasks/delete-due-keys.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { type ComposedDaemon, composeDaemon } from '../support/composed-daemon.ts'
import { type Instance, makeInstance } from '../support/instance.ts'
import { waitUntil } from '../support/processes.ts'
import { REGION, silentLogger } from '../support/tokens.ts'
import { makeKey as makeStoredKey, makeTemporaryFolder } from '../unit/store/records.ts'

const ACCOUNT = '000000000001'
const NOT_FOUND = { name: 'NotFoundException' }
const REFERS_TO_NONE = {
  name: 'AccessDeniedException',
  message:
    'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.',
}
const DELETION_INTERVAL_MS = 1_000

let instance: Instance
let daemon: ComposedDaemon
const clock = { offsetMs: 0 }

beforeAll(async () => {
  instance = await makeInstance(['a', 'b'])
  const path = instance.configure(['a', 'b'], { jobs: { deletionIntervalMs: DELETION_INTERVAL_MS } })
  expect(await instance.init()).toMatchObject({ code: 0 })
  daemon = await composeDaemon(instance, path, { clock })
})

afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]()
  instance?.remove()
})

const kms = () => daemon.client()

async function makeKey(name: string) {
  const { KeyId, Arn } = (await kms().createKey({ Description: name })).KeyMetadata!
  const alias = `alias/${name}`
  await kms().createAlias({ AliasName: alias, TargetKeyId: KeyId! })
  await kms().tagResource({ KeyId: KeyId!, Tags: [{ TagKey: 'name', TagValue: name }] })
  const { CiphertextBlob } = await kms().encrypt({ KeyId: KeyId!, Plaintext: Buffer.from(name) })
  return { KeyId: KeyId!, Arn: Arn!, alias, CiphertextBlob: CiphertextBlob! }
}

/** Rows as another process sees them. */
function query(sql: string): Record<string, unknown>[] {
  const script = `const { DatabaseSync } = require('node:sqlite')
    const database = new DatabaseSync(process.argv[1], { readOnly: true })
    process.stdout.write(JSON.stringify(database.prepare(process.argv[2]).all(), (_, value) =>
      value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value))`
  const path = join(instance.stateDir, 'strongroom.db')
  return JSON.parse(execFileSync(process.execPath, ['--no-warnings', '-e', script, path, sql], { encoding: 'utf8' }))
}

/** Every byte of the database and its log on disk. */
function bytesOnDisk(): Buffer {
  const files = readdirSync(instance.stateDir).filter(name => name.startsWith('strongroom.db'))
  expect(files).toContain('strongroom.db-wal')
  return execFileSync(
    'cat',
    files.map(name => join(instance.stateDir, name)),
    { maxBuffer: 2 ** 28 },
  )
}

const ektOf = (keyId: string): Buffer =>
  Buffer.from(query(`SELECT ekt FROM materials WHERE key_id = '${keyId}'`)[0]!.ekt as string, 'base64')

/** In all tokens together. */
async function cachedHbks(): Promise<number> {
  let sum = 0
  for (const pool of daemon.pools.values()) {
    for (const { profile } of pool.members)
      sum += (await pool.call('status', {}, { serials: [profile!.serial] })).cachedHbks
  }
  return sum
}

describe('a key whose waiting period has ended', () => {
  it('is deleted with its EKT, aliases and tags; others stay', async () => {
    const [due, kept, cancelled, later] = await Promise.all(['due', 'kept', 'cancelled', 'later'].map(makeKey))
    await kms().scheduleKeyDeletion({ KeyId: due!.KeyId, PendingWindowInDays: 7 })
    await kms().scheduleKeyDeletion({ KeyId: cancelled!.KeyId, PendingWindowInDays: 7 })
    await kms().scheduleKeyDeletion({ KeyId: later!.KeyId, PendingWindowInDays: 30 })
    await kms().cancelKeyDeletion({ KeyId: cancelled!.KeyId })
    await kms().enableKey({ KeyId: cancelled!.KeyId })
    const record = ektOf(due!.KeyId)
    const { body } = decodeEkt(record).fields
    const wrapped = body.kind === 'wrapped' ? body.bytes : Buffer.alloc(0)
    // The name of its alias stays in the audit log, which remembers what was.
    const traces = [wrapped, record.subarray(-32)]
    const before = bytesOnDisk()
    expect(traces.map(bytes => before.includes(bytes))).toEqual([true, true])
    expect(await daemon.deleteDueKeys()).toBe(0)

    clock.offsetMs += 7 * DAY_MS - 60_000
    expect(await daemon.deleteDueKeys()).toBe(0)
    await expect(kms().describeKey({ KeyId: due!.KeyId })).resolves.toMatchObject({
      KeyMetadata: { KeyState: 'PendingDeletion' },
    })
    clock.offsetMs += 120_000
    await waitUntil(() => query(`SELECT 1 FROM keys WHERE id = '${due!.KeyId}'`).length === 0, 10_000)
    // The job empties the log once it has deleted what is due.
    await waitUntil(
      () => !bytesOnDisk().includes(wrapped),
      5_000,
      () => 'the EKT is still on disk',
    )

    const after = bytesOnDisk()
    expect(traces.map(bytes => after.includes(bytes))).toEqual([false, false])
    expect(after.includes(ektOf(kept!.KeyId).subarray(-32))).toBe(true)
    for (const table of ['materials', 'aliases', 'tags'])
      expect(query(`SELECT 1 FROM ${table} WHERE key_id = '${due!.KeyId}'`)).toEqual([])
    expect(query('SELECT table_name, primary_key FROM tombstones')).toEqual([
      { table_name: 'keys', primary_key: `${REGION}/${ACCOUNT}/${due!.KeyId}` },
    ])

    for (const KeyId of [due!.KeyId, due!.Arn, due!.alias]) {
      await expect(kms().describeKey({ KeyId })).rejects.toMatchObject(NOT_FOUND)
      await expect(kms().encrypt({ KeyId, Plaintext: Buffer.from('x') })).rejects.toMatchObject(NOT_FOUND)
    }
    for (const each of [kept!, cancelled!]) {
      const { Plaintext } = await kms().decrypt({ CiphertextBlob: each.CiphertextBlob })
      expect(`alias/${Buffer.from(Plaintext!)}`).toBe(each.alias)
      const { Tags } = await kms().listResourceTags({ KeyId: each.KeyId })
      expect(Tags).toEqual([{ TagKey: 'name', TagValue: each.alias.slice('alias/'.length) }])
    }
    await expect(kms().describeKey({ KeyId: later!.KeyId })).resolves.toMatchObject({
      KeyMetadata: { KeyState: 'PendingDeletion' },
    })
    const { Keys } = await kms().listKeys({})
    expect(Keys!.map(({ KeyId }) => KeyId).toSorted()).toEqual(
      [kept!, cancelled!, later!].map(({ KeyId }) => KeyId).toSorted(),
    )
  })

  it('leaves ciphertexts that get the answer of any key that does not exist', async () => {
    const key = await makeKey('gone')
    await kms().scheduleKeyDeletion({ KeyId: key.KeyId, PendingWindowInDays: 7 })
    await expect(kms().decrypt({ CiphertextBlob: key.CiphertextBlob })).rejects.toMatchObject({
      name: 'KMSInvalidStateException',
    })
    clock.offsetMs += 8 * DAY_MS
    await daemon.deleteDueKeys()
    const never = Uint8Array.from(key.CiphertextBlob)
    never.set(Buffer.from(randomUUID().replaceAll('-', ''), 'hex'), 6)
    for (const CiphertextBlob of [key.CiphertextBlob, never]) {
      await expect(kms().decrypt({ CiphertextBlob })).rejects.toMatchObject(REFERS_TO_NONE)
      const moved = kms().reEncrypt({ CiphertextBlob, DestinationKeyId: 'alias/kept' })
      await expect(moved).rejects.toMatchObject(REFERS_TO_NONE)
    }
    await expect(kms().decrypt({ CiphertextBlob: key.CiphertextBlob, KeyId: key.Arn })).rejects.toMatchObject(NOT_FOUND)
  })

  it('is let go of by the hosts, and its alias may be used again', async () => {
    const key = await makeKey('held')
    const before = await cachedHbks()
    expect(before).toBeGreaterThan(0)
    await kms().scheduleKeyDeletion({ KeyId: key.KeyId, PendingWindowInDays: 7 })
    clock.offsetMs += 8 * DAY_MS
    await waitUntil(() => query(`SELECT 1 FROM keys WHERE id = '${key.KeyId}'`).length === 0, 10_000)
    await waitUntil(
      async () => (await cachedHbks()) === before - 1,
      5_000,
      () => 'the HBK is still held',
    )
    await makeKey('held')
  })
})

describe('the job that deletes keys', () => {
  const NOW_MS = 1_000_000
  let folder: ReturnType<typeof makeTemporaryFolder>
  let store: Store

  beforeEach(async () => {
    folder = makeTemporaryFolder()
    store = await openStore({ path: join(folder.path, 'store.db') })
  })

  afterEach(async () => {
    await store.close()
    folder.remove()
  })

  const insertDue = async () => {
    const key = makeStoredKey({ state: 'PendingDeletion', deletionAtMs: NOW_MS - 1 })
    await store.transaction(tx => tx.insertKey(key))
    return key
  }

  const jobOn = (changes: Partial<Store>, others: Partial<DeletionParts> = {}) => {
    const parts: Omit<DeletionParts, 'store'> = {
      keyring: new Keyring({ pools: new Map(), store, clock: () => NOW_MS }),
      audit: { act: <T>(_: unknown, work: () => Promise<T>) => work() },
      clock: () => NOW_MS,
      logger: silentLogger,
      metrics: new Metrics(),
      ...others,
    }
    return new DeletionJob({ ...parts, store: Object.assign(Object.create(store), changes) })
  }

  /** Says what is due, and then something happens to it before the job gets there. */
  const readerBefore = (happens: (key: KmsKey) => Promise<void>) =>
    Object.assign(Object.create(store.reader) as Reader, {
      async listKeysDueForDeletion(nowMs: number, limit: number) {
        const due = await store.reader.listKeysDueForDeletion(nowMs, limit)
        for (const key of due) await happens(key)
        return due
      },
    })

  it.each([
    ['taken back', { state: 'Disabled', deletionAtMs: undefined }],
    ['put off', { state: 'PendingDeletion', deletionAtMs: NOW_MS + 1 }],
  ] as const)('leaves a key that was %s meanwhile', async (_, changes) => {
    const key = await insertDue()
    const reader = readerBefore(found =>
      store.transaction(tx => tx.updateKey({ ...found, ...changes, generation: found.generation + 1 })),
    )
    expect(await jobOn({ reader }).run()).toBe(0)
    expect(await store.reader.findKey(key, key.id)).toMatchObject(changes)
  })

  it('begins the waiting period of a primary with the end of its last replica', async () => {
    const id = newMultiRegionKeyId()
    const related = { id, primaryRegion: 'on-prem-1' }
    const primary = makeStoredKey({ ...related, state: 'PendingReplicaDeletion', deletionWindowDays: 9 })
    const [first, last] = ['on-prem-2', 'on-prem-3'].map(region => makeStoredKey({ ...related, region }))
    await store.transaction(async tx => {
      for (const key of [primary, first!, last!]) await tx.insertKey(key)
    })
    const endOf = async (key: KmsKey) => {
      const due = { ...key, state: 'PendingDeletion', deletionAtMs: NOW_MS, generation: 2 } as const
      await store.transaction(tx => tx.updateKey(due))
      expect(await jobOn({}).run()).toBe(1)
      return store.reader.findKey(primary, id)
    }
    expect(await endOf(first!)).toEqual(primary)
    const { deletionWindowDays: _begun, ...begun } = primary
    expect(await endOf(last!)).toEqual({
      ...{ ...begun, state: 'PendingDeletion', deletionAtMs: NOW_MS + 9 * DAY_MS, generation: 2 },
    })
  })

  it('goes on where another daemon was first', async () => {
    const key = await insertDue()
    const reader = readerBefore(found => store.transaction(tx => tx.deleteKey(found, NOW_MS)))
    expect(await jobOn({ reader }).run()).toBe(0)
    expect(await store.reader.findKey(key, key.id)).toBeUndefined()
  })

  it('overwrites what is left of the rows as soon as it can, though it failed before', async () => {
    await insertDue()
    let scrubs = 0
    let locked = true
    const job = jobOn({
      async scrub() {
        scrubs += 1
        if (locked) throw new Error('locked')
        await store.scrub()
      },
    })
    await expect(job.run()).rejects.toThrow('locked')
    locked = false
    expect(await job.run()).toBe(0)
    expect(scrubs).toBe(2)
    await job.run()
    expect(scrubs).toBe(2)
  })

  it('has hosts let go of a key, and owes the disk a scrub, though the deletion cannot be recorded', async () => {
    await store.scrub()
    const key = await insertDue()
    const forgotten: string[] = []
    const keyring = { forget: async ({ id }: KmsKey) => void forgotten.push(id) }
    const audit = {
      async act<T>(_: unknown, work: () => Promise<T>): Promise<T> {
        await work()
        throw new Error('the disk is full')
      },
    }
    await expect(jobOn({}, { keyring: keyring as unknown as Keyring, audit }).run()).rejects.toThrow('the disk is full')
    expect(await store.reader.findKey(key, key.id)).toBeUndefined()
    expect([forgotten, store.scrubOwed]).toEqual([[key.id], true])
  })
})
