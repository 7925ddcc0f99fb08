/**
 * A disk that is really full, under the audit log, under the key store, and under both: what cannot be kept is refused, nothing that
 * was acknowledged is lost, and the daemon goes on by itself once there is space.
 */
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { KMS, paginateListKeys } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { readCredentials } from '../../scripts/instance.ts'
import { listLogFiles } from '../../src/audit/log-files.ts'
import type { Verdict } from '../../src/audit/verify.ts'
import { verifyFiles } from '../../src/audit/verify-files.ts'
import { type Instance, makeInstance, type Serving } from '../support/instance.ts'
import { startLoad } from '../support/load.ts'
import { readMetrics } from '../support/metrics.ts'
import { waitUntil } from '../support/processes.ts'
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts'
import { REGION } from '../support/tokens.ts'

const SOON_MS = 60_000
const PATIENCE_MS = 300_000
const STORE_MB = 24
const AUDIT_MB = 8
const LANES = 4
const UNRECORDED = { name: 'DependencyTimeoutException', message: 'The request cannot be recorded now. Try again.' }
const UNWRITTEN = { name: 'DependencyTimeoutException', message: 'The key store cannot be written now. Try again.' }

interface Writable {
  readonly writable: boolean
  readonly reason?: string
}

let instance: Instance
let daemon: Serving
let kms: KMS
let KeyId: string
const auditKeys: Buffer[] = []
const disks: { store?: SmallDisk; audit?: SmallDisk } = {}
/** What callers were told is done. */
const created: string[] = []
const answered: string[] = []

beforeAll(async () => {
  instance = await makeInstance(['a'])
  disks.store = mountSmallDisk(instance.stateDir, STORE_MB)
  disks.audit = mountSmallDisk(join(instance.stateDir, 'audit'), AUDIT_MB)
  instance.configure(['a'], { audit: { maxFileMb: 1 } })
  expect(await instance.init()).toMatchObject({ code: 0 })
  const { stdout } = await instance.run(['audit', 'public-key'])
  auditKeys.push(createPublicKey(stdout.slice(stdout.indexOf('-----'))).export({ format: 'der', type: 'spki' }))
  await start()
  KeyId = await createKey()
}, PATIENCE_MS)

afterAll(async () => {
  kms?.destroy()
  disks.audit?.unmount()
  disks.store?.unmount()
  instance?.remove()
})

async function start(): Promise<void> {
  kms?.destroy()
  daemon = await instance.serve()
  const credentials = readCredentials(instance.stateDir)
  kms = new KMS({ endpoint: daemon.endpoint, region: REGION, credentials, maxAttempts: 1 })
}

async function createKey(): Promise<string> {
  const { KeyMetadata, $metadata } = await kms.createKey({})
  created.push(KeyMetadata!.KeyId!)
  answered.push($metadata.requestId!)
  return KeyMetadata!.KeyId!
}

async function generate(): Promise<void> {
  const { $metadata } = await kms.generateDataKey({ KeyId, KeySpec: 'AES_256' })
  answered.push($metadata.requestId!)
}

async function readiness(): Promise<{ status: number; audit: Writable; store: Writable }> {
  const response = await fetch(`${daemon.adminEndpoint}/readyz`)
  return { status: response.status, ...((await response.json()) as { audit: Writable; store: Writable }) }
}

const logFiles = () => listLogFiles(join(instance.stateDir, 'audit'))
const verify = async () => verifyFiles(await logFiles(), auditKeys)

async function requireNothingLost(): Promise<void> {
  const listed: (string | undefined)[] = []
  for await (const { Keys = [] } of paginateListKeys({ client: kms }, {})) listed.push(...Keys.map(key => key.KeyId))
  expect(created.filter(id => !listed.includes(id))).toEqual([])
  const log = (await logFiles()).map(path => readFileSync(path, 'utf8')).join('')
  expect(answered.filter(id => !log.includes(id))).toEqual([])
}

/** Fills a disk until the daemon has seen it: what it frees meanwhile is taken too. */
async function fillUntil(disk: SmallDisk, seen: () => Promise<boolean>): Promise<void> {
  await waitUntil(async () => {
    disk.fill()
    return seen()
  }, SOON_MS)
}

/** Why a change is refused on a full disk: what the database's files have to spare, some may still use. */
async function refusalOf(change: () => Promise<unknown>): Promise<unknown> {
  let refusal: unknown
  await fillUntil(disks.store!, () =>
    change().then(
      () => false,
      error => {
        refusal = error
        return true
      },
    ),
  )
  return refusal
}

describe('a full disk', () => {
  it('under the audit log: everything is refused, until there is space', async () => {
    const load = startLoad(LANES, lane => (lane === 0 ? createKey().then(() => {}) : generate()))
    await waitUntil(() => answered.length > 50, SOON_MS)
    await fillUntil(disks.audit!, async () => (await readiness()).status === 503)
    expect(await readiness()).toMatchObject({ audit: { writable: false, reason: expect.stringContaining('ENOSPC') } })
    await expect(generate()).rejects.toMatchObject(UNRECORDED)
    await expect(createKey()).rejects.toMatchObject(UNRECORDED)
    await expect(kms.listKeys({})).rejects.toMatchObject(UNRECORDED)
    disks.audit!.free()
    await waitUntil(async () => (await readiness()).status === 200, SOON_MS)
    const before = answered.length
    await waitUntil(() => answered.length > before + 20, SOON_MS)
    const { failures } = await load.stop()
    expect(new Set(failures.map(String))).toEqual(new Set([`${UNRECORDED.name}: ${UNRECORDED.message}`]))
    await requireNothingLost()
  })

  it('under the key store: changes are refused and the rest goes on, until there is space', async () => {
    expect(await refusalOf(createKey)).toMatchObject(UNWRITTEN)
    const describe = (Description: string) => kms.updateKeyDescription({ KeyId, Description })
    let last = ''
    expect(
      await refusalOf(async () => {
        const wanted = `${last}x`
        await describe(wanted)
        last = wanted
      }),
    ).toMatchObject(UNWRITTEN)
    await fillUntil(disks.store!, async () => !(await readiness()).store.writable)
    const reason = 'database or disk is full'
    expect(await readiness()).toMatchObject({
      status: 200,
      audit: { writable: true },
      store: { writable: false, reason },
    })
    expect((await readMetrics(daemon.adminEndpoint)).get('strongroom_store_writable')).toBe(0)
    await generate()
    expect((await kms.describeKey({ KeyId })).KeyMetadata?.Description).toBe(last)
    disks.store!.free()
    // By itself, since what waits for the store is tried again.
    await waitUntil(async () => (await readiness()).store.writable, SOON_MS)
    await describe('there is space')
    await createKey()
    await requireNothingLost()
  })

  it(
    'under both, and a daemon that ends and starts there: it says why it does not',
    async () => {
      const load = startLoad(LANES, lane => (lane === 0 ? createKey().then(() => {}) : generate()))
      await fillUntil(disks.store!, async () => !(await readiness()).store.writable)
      await fillUntil(disks.audit!, async () => (await readiness()).status === 503)
      process.kill(daemon.pid, 'SIGKILL')
      await daemon.ended
      await load.stop()
      disks.store!.fill()
      disks.audit!.fill()
      await expect(instance.serve()).rejects.toThrow(/cannot be written: .*(?:disk is full|ENOSPC)/)
      expect(await verify()).toMatchObject({ findings: [] })
      disks.store!.free()
      disks.audit!.free()
      await start()
      await generate()
      await createKey()
      await requireNothingLost()
      process.kill(daemon.pid, 'SIGTERM')
      await daemon.ended
      const files = await verify()
      expect(files).toMatchObject({ findings: [], uncovered: 0 })
      const stored = await instance.run(['audit', 'verify', '--store', '--output', 'json'])
      expect(JSON.parse(stored.stdout) as Verdict).toMatchObject({ findings: [], events: files.events })
      expect(await instance.run(['store', 'verify'])).toMatchObject({ code: 0 })
    },
    PATIENCE_MS,
  )
})
