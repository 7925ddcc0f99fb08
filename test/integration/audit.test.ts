/**
 * The audit log of a daemon: what stands in it, that it is whole whatever ends the daemon, and that nothing is done that cannot be
 * recorded. Test 22 of security.md 6.
 */
import { createPublicKey } from 'node:crypto'
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { readCredentials } from '../../scripts/instance.ts'
import type { AdminRequest } from '../../src/admin/admin-socket.ts'
import type { RecordedEvent } from '../../src/audit/event-query.ts'
import { listLogFiles } from '../../src/audit/log-files.ts'
import type { RefusalSummary } from '../../src/audit/refusals.ts'
import type { Verdict } from '../../src/audit/verify.ts'
import { verifyFiles } from '../../src/audit/verify-files.ts'
import { askDaemon } from '../../src/cli/admin-client.ts'
import { type Instance, makeInstance, type Serving } from '../support/instance.ts'
import { waitUntil } from '../support/processes.ts'
import { REGION } from '../support/tokens.ts'

const SECRET = 'the quick brown fox'
const SOON_MS = 60_000
let instance: Instance
let daemon: Serving
let kms: KMS
let KeyId: string

beforeAll(async () => {
  instance = await makeInstance(['a'])
  instance.configure(['a'], { audit: { maxFileMb: 1 } })
  expect(await instance.init()).toMatchObject({ code: 0 })
  await start()
  KeyId = (await kms.createKey({})).KeyMetadata!.KeyId!
})

afterAll(() => {
  kms?.destroy()
  instance?.remove()
})

async function start(): Promise<void> {
  kms?.destroy()
  daemon = await instance.serve()
  const credentials = readCredentials(instance.stateDir)
  kms = new KMS({ endpoint: daemon.endpoint, region: REGION, credentials, maxAttempts: 1 })
}

/** The command takes a second to start: most of this file looks by itself. */
const verify = async () => verifyFiles(await listLogFiles(folder()), await auditKeys())
const isWhole = async () => {
  const { findings, uncovered } = await verify()
  expect(findings).toEqual([])
  return uncovered === 0
}

async function verifyByCommand(...args: string[]): Promise<Verdict & { code: number }> {
  const { code, stdout, stderr } = await instance.run(['audit', 'verify', '--output', 'json', ...args])
  if (stdout === '') throw new Error(stderr)
  return { ...(JSON.parse(stdout) as Verdict), code }
}

let keys: Buffer[] | undefined
async function auditKeys(): Promise<Buffer[]> {
  if (keys === undefined) {
    const { stdout } = await instance.run(['audit', 'public-key', '--output', 'json'])
    const found = JSON.parse(stdout) as { publicKey: string }[]
    keys = found.map(({ publicKey }) => createPublicKey(publicKey).export({ format: 'der', type: 'spki' }))
  }
  return keys
}

async function query(asked: Partial<AdminRequest<'audit/query'>> = {}): Promise<RecordedEvent[]> {
  const answer = await askDaemon(join(instance.stateDir, 'admin.sock'), 'audit/query', { limit: 1_000, ...asked })
  return answer as RecordedEvent[]
}

const eventsOf = (lines: string) =>
  lines
    .split('\n')
    .filter(line => line.startsWith('{"seq"'))
    .map(line => (JSON.parse(line) as { event: RecordedEvent }).event)

const folder = () => join(instance.stateDir, 'audit')
const written = () =>
  readdirSync(folder())
    .map(name => readFileSync(join(folder(), name), 'utf8'))
    .join('')

describe('an event', () => {
  it('says who did what to which key and why, and no plaintext', async () => {
    const EncryptionContext = { app: 'orders' }
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Buffer.from(SECRET), EncryptionContext })
    await kms.decrypt({ CiphertextBlob, EncryptionContext })
    await expect(kms.decrypt({ CiphertextBlob })).rejects.toThrow()
    const [refused, decrypted] = await query({ operation: 'Decrypt' })
    expect(decrypted).toMatchObject({
      ...{ eventVersion: '1.11', eventSource: 'kms.amazonaws.com', eventName: 'Decrypt', awsRegion: REGION },
      ...{ readOnly: true, eventType: 'AwsApiCall', sourceIPAddress: '127.0.0.1', responseElements: null },
      userIdentity: { type: 'IAMUser', userName: 'admin', accountId: '000000000001' },
      userAgent: expect.stringContaining('aws-sdk-js'),
      requestParameters: { encryptionContext: { app: 'orders' } },
      additionalEventData: { decisions: [{ action: 'kms:Decrypt', allowed: true, reason: expect.any(String) }] },
      resources: [{ type: 'AWS::KMS::Key', ARN: expect.stringContaining(KeyId) }],
    })
    expect(refused).toMatchObject({ errorCode: 'InvalidCiphertextException', eventName: 'Decrypt' })
    expect(written()).not.toContain(SECRET)
    expect(written()).not.toContain(Buffer.from(SECRET).toString('base64'))
    expect(written()).not.toContain(Buffer.from(CiphertextBlob!).toString('base64'))
  })

  it('is there of requests that nobody has signed, and of a key that is not the caller’s to use', async () => {
    const unsigned = { method: 'POST', headers: { 'x-amz-target': 'TrentService.ListKeys' }, body: '{}' }
    await fetch(daemon.endpoint, unsigned)
    const [event] = await query({ outcome: 'MissingAuthenticationTokenException' })
    expect(event).toMatchObject({ userIdentity: { type: 'Unknown' }, eventName: 'unknown' })
  })

  it('is there of ceremonies, operators’ acts and the daemon itself', async () => {
    await askDaemon(join(instance.stateDir, 'admin.sock'), 'identity/create', {
      ...{ account: '000000000001', kind: 'user', name: 'auditor' },
    })
    const names = (await query()).map(({ eventName }) => eventName)
    expect(names).toEqual(expect.arrayContaining(['Init', 'AuditLogStarted', 'CreateKey']))
    expect(names.some(name => name.startsWith('Create') && name !== 'CreateKey')).toBe(true)
  })

  it('is found by time, principal, key and outcome', async () => {
    expect(await query({ key: KeyId, operation: 'Encrypt' })).toHaveLength(1)
    expect(await query({ key: KeyId, principal: 'nobody' })).toEqual([])
    expect(await query({ toMs: Date.parse('2020-01-01T00:00:00Z') })).toEqual([])
    expect((await query({ fromMs: Date.parse('2020-01-01T00:00:00Z') })).length).toBeGreaterThan(2)
    const filters = ['--principal', 'admin', '--outcome', 'refused', '--from', '2020-01-01T00:00:00Z', '--limit', '1']
    const { code, stdout } = await instance.run(['audit', 'query', '--output', 'json', ...filters])
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      [expect.objectContaining({ errorCode: 'InvalidCiphertextException' })],
    ])
  })
})

describe('the log', () => {
  it('is whole by the public key alone, and in the key store', async () => {
    const pem = join(instance.folder, 'audit.pem')
    const { stdout } = await instance.run(['audit', 'public-key'])
    writeFileSync(pem, stdout)
    await waitUntil(isWhole, SOON_MS)
    expect(await verifyByCommand('--public-key', pem, folder())).toMatchObject({ code: 0, findings: [], uncovered: 0 })
  })

  it('is whole after kill -9 during requests, with every answer in it', async () => {
    const answered: string[] = []
    let running = true
    const lanes = Array.from({ length: 8 }, async () => {
      while (running) {
        await kms.generateDataKey({ KeyId, KeySpec: 'AES_256' }).then(
          ({ $metadata }) => answered.push($metadata.requestId!),
          () => {},
        )
      }
    })
    await waitUntil(() => answered.length > 200, SOON_MS)
    process.kill(daemon.pid, 'SIGKILL')
    await daemon.ended
    running = false
    await Promise.all(lanes)
    await start()
    const log = written()
    expect(answered.filter(id => !log.includes(id))).toEqual([])
    await waitUntil(isWhole, SOON_MS)
    const verdict = await verify()
    expect(verdict).toMatchObject({ findings: [], uncovered: 0 })
    expect(verdict.chains.length).toBeGreaterThan(1)
    expect(await verifyByCommand('--store')).toMatchObject({ findings: [], events: verdict.events })
  })

  it('counts refusals of those who prove nothing, whether they have events or not', async () => {
    const tally = () => {
      const events = eventsOf(written())
      const own = events.filter(({ errorCode }) => errorCode === 'MissingAuthenticationTokenException').length
      const summaries = events
        .filter(({ eventName }) => eventName === 'UnauthenticatedRequestsRefused')
        .map(({ requestParameters }) => (requestParameters as unknown as RefusalSummary).refused)
      return { own, summaries, all: summaries.reduce((sum, refused) => sum + refused, own) }
    }
    const code = 'MissingAuthenticationTokenException'
    /** What the daemon's own log has: lines of refused requests, and how many have none. */
    const logged = () => {
      const lines = daemon
        .log()
        .split('\n')
        .filter(line => line.startsWith('{'))
      const all = lines.map(line => JSON.parse(line) as { message: string; outcome?: string; refused?: number })
      const own = all.filter(({ message, outcome }) => message === 'request' && outcome === code).length
      const without = all.filter(({ message }) => message === 'refused requests without a line each')
      return { own, all: without.reduce((sum, { refused = 0 }) => sum + refused, own) }
    }
    const [before, loggedBefore] = [tally(), logged()]
    const unsigned = { method: 'POST', headers: { 'x-amz-target': 'TrentService.ListKeys' }, body: '{}' }
    let sent = 0
    // A slow machine sends them slowly, and they are let through: until one is not.
    const metric = async () => (await fetch(`${daemon.adminEndpoint}/metrics`)).text()
    await waitUntil(async () => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => fetch(daemon.endpoint, unsigned)))
      sent += answers.filter(({ status }) => status === 400).length
      return /^strongroom_audit_refusals_counted_total [1-9]/m.test(await metric())
    }, SOON_MS)
    const requests = new RegExp(`^strongroom_requests_total\\{.*"${code}".*\\} (\\d+)$`, 'm')
    expect(Number(requests.exec(await metric())?.[1])).toBeGreaterThanOrEqual(sent)
    process.kill(daemon.pid, 'SIGTERM')
    await daemon.ended
    expect(logged().all - loggedBefore.all).toBe(sent)
    expect(logged().own - loggedBefore.own).toBeLessThan(sent)
    await start()
    const after = tally()
    expect(after.all - before.all).toBe(sent)
    expect(after.summaries).not.toEqual([])
    expect(after.own).toBeLessThan(sent)
    await waitUntil(isWhole, SOON_MS)
  })

  it('ends with the code of what is wrong', async () => {
    const copy = join(instance.folder, 'copy.jsonl')
    const [first] = readdirSync(folder()).sort()
    const text = readFileSync(join(folder(), first!), 'utf8')
    writeFileSync(copy, text.replace('"CreateKey"', '"DeleteKey"'))
    const { code, findings } = await verifyByCommand(copy)
    expect(code).toBe(2)
    expect(findings[0]).toMatchObject({ source: 'copy.jsonl', what: expect.stringContaining('changed') })
  })
})

describe('while nothing can be recorded', () => {
  it('nothing is done, and /readyz says why', async () => {
    const { CiphertextBlob } = await kms.encrypt({ KeyId, Plaintext: Buffer.from(SECRET) })
    const keys = await keysStored()
    const readyz = async () => {
      const response = await fetch(`${daemon.adminEndpoint}/readyz`)
      return [response.status, ((await response.json()) as { audit: unknown }).audit]
    }
    expect(await readyz()).toEqual([200, { writable: true }])
    renameSync(folder(), `${folder()}.away`)
    writeFileSync(folder(), 'no folder')
    await waitUntil(async () => (await readyz())[0] === 503, SOON_MS)
    expect(await readyz()).toEqual([503, { writable: false, reason: expect.any(String) }])
    const unrecorded = { name: 'DependencyTimeoutException' }
    await expect(kms.decrypt({ CiphertextBlob })).rejects.toMatchObject(unrecorded)
    await expect(kms.createKey({})).rejects.toMatchObject(unrecorded)
    await expect(kms.listKeys({})).rejects.toMatchObject(unrecorded)
    const identity = { account: '000000000001', kind: 'user', name: 'nobody' } as const
    await expect(askDaemon(join(instance.stateDir, 'admin.sock'), 'identity/create', identity)).rejects.toThrow(
      'cannot be recorded now',
    )
    rmSync(folder())
    renameSync(`${folder()}.away`, folder())
    await waitUntil(async () => (await readyz())[0] === 200, SOON_MS)
    expect(await keysStored()).toBe(keys)
    expect(Buffer.from((await kms.decrypt({ CiphertextBlob })).Plaintext!).toString()).toBe(SECRET)
    await waitUntil(isWhole, SOON_MS)
    expect(await query({ operation: 'AuditLogResumed' })).toHaveLength(1)
  })

  const keysStored = async () => (await kms.listKeys({})).Keys?.length
})
