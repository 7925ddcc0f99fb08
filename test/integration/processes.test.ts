/**
 * A daemon of several service processes behaves as one: whatever is changed through one connection holds on all, a process that
 * dies or hangs costs no request that is repeated, and nothing outlives the daemon.
 */
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { readCredentials } from '../../scripts/instance.ts'
import type { AdminRequestName } from '../../src/admin/admin-socket.ts'
import type { HsmStatus, Readiness } from '../../src/admin/health.ts'
import type { RecordedEvent } from '../../src/audit/event-query.ts'
import { listFilesOf, listLogFiles, readLogFileName } from '../../src/audit/log-files.ts'
import type { Verdict } from '../../src/audit/verify.ts'
import { askDaemon } from '../../src/cli/admin-client.ts'
import type { ReadyMessage } from '../../src/main.ts'
import { makeInstance } from '../support/instance.ts'
import { startLoad } from '../support/load.ts'
import { childrenOf, isAlive, waitUntil, waitUntilGone } from '../support/processes.ts'
import { connectionOf, runStrongroom, type Sandbox, startSandbox } from '../support/sandbox.ts'
import { REGION } from '../support/tokens.ts'

const PROCESSES = 2
const CONNECTIONS = 4
const ROUNDS = 4
const PATIENCE_MS = 120_000
/** One request in so many seconds: more than the test lasts. */
const RARELY = 0.01
/** Repeats what a connection that broke has cost. */
const RETRIES = { maxAttempts: 8 }

jest.setTimeout(2 * PATIENCE_MS)

let sandbox: Sandbox
/** Each has one connection, so that they are spread over the processes. */
let clients: KMS[]

beforeAll(async () => {
  const settings = { quotas: { requests: { account: { ListRetirableGrants: RARELY } } } }
  sandbox = await startSandbox({ tokens: 2, processes: PROCESSES, settings })
  clients = Array.from({ length: CONNECTIONS }, () =>
    sandbox.client({ requestHandler: { httpAgent: { keepAlive: true, maxSockets: 1 } } }),
  )
  await Promise.all(clients.map(client => client.listKeys({})))
})

afterAll(async () => {
  await sandbox?.stop()
})

async function createKey(kms = clients[0]!): Promise<string> {
  return (await kms.createKey({})).KeyMetadata!.KeyId!
}

/** How each connection answers, all at once: `ok`, or the name of the error. */
function outcomes(request: (kms: KMS) => Promise<unknown>, of: readonly KMS[] = clients): Promise<string[]> {
  return Promise.all(
    of.map(client =>
      request(client).then(
        () => 'ok',
        (error: Error) => error.name,
      ),
    ),
  )
}

function everywhere(outcome: string, connections = CONNECTIONS): string[] {
  return Array.from({ length: connections }, () => outcome)
}

/** As `strongroom` asks the daemon. */
function ask(name: AdminRequestName, body: object): Promise<unknown> {
  return askDaemon(join(sandbox.description.dir, 'admin.sock'), name, body as never)
}

async function status(): Promise<HsmStatus & { servicePids: number[] }> {
  return (await ask('status', {})) as HsmStatus & { servicePids: number[] }
}

async function servicePids(): Promise<number[]> {
  return (await status()).servicePids
}

/** Resolves when as many processes serve as should, and this one is not among them. */
async function waitForAnother(gone: number): Promise<void> {
  const isWhole = async () => {
    const { ready, servicePids: pids, regions } = await status()
    return ready && !pids.includes(gone) && regions[0]!.hsms.every(({ hosts }) => hosts === PROCESSES + 1)
  }
  await waitUntil(isWhole, PATIENCE_MS, () => `another service process does not serve:\n${sandbox.log()}`)
}

/** Of the API, in a process. */
function connectionsIn(pid: number): number {
  const port = Number(new URL(sandbox.description.endpoint).port).toString(16).toUpperCase().padStart(4, '0')
  const open = new Set(
    readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map(line => line.trim().split(/\s+/))
      .filter(([, local, , state]) => local?.endsWith(`:${port}`) && state === '01')
      .map(columns => `socket:[${columns[9]}]`),
  )
  return readdirSync(`/proc/${pid}/fd`).filter(fd => open.has(link(`/proc/${pid}/fd/${fd}`))).length
}

function link(path: string): string {
  try {
    return readlinkSync(path)
  } catch {
    return ''
  }
}

const auditFolder = () => join(sandbox.description.dir, 'audit')

/** The lines of the audit log, of all processes. */
function written(): string {
  return readdirSync(auditFolder())
    .filter(name => name.endsWith('.jsonl'))
    .map(name => readFileSync(join(auditFolder(), name), 'utf8'))
    .join('')
}

async function verify(...args: readonly string[]): Promise<Verdict & { readonly code: number }> {
  const { code, stdout } = await runStrongroom(sandbox, ['audit', 'verify', '--output', 'json', ...args])
  return { ...(JSON.parse(stdout) as Verdict), code }
}

async function counted(operation: string): Promise<number> {
  const text = await (await fetch(`${sandbox.description.adminEndpoint}/metrics`)).text()
  const values = text.matchAll(new RegExp(`^strongroom_requests_total{operation="${operation}".*} (\\d+)$`, 'gm'))
  return [...values].reduce((sum, [, value]) => sum + Number(value), 0)
}

describe('several service processes', () => {
  it('have connections each', () => {
    const { servicePids: pids } = sandbox.description
    expect(pids).toHaveLength(PROCESSES)
    for (const pid of pids) expect(connectionsIn(pid)).toBeGreaterThan(0)
  })

  it('load no PKCS#11 module', () => {
    for (const pid of sandbox.description.servicePids)
      expect(readFileSync(`/proc/${pid}/maps`, 'latin1')).not.toMatch(/softhsm|pkcs11/)
  })

  it('see a change that any of them has answered, at once', async () => {
    const KeyId = await createKey()
    const encrypt = (kms: KMS) => kms.encrypt({ KeyId, Plaintext: Buffer.from('x') })
    expect(await outcomes(encrypt)).toEqual(everywhere('ok'))
    for (let round = 0; round < ROUNDS; round += 1) {
      const kms = clients[round % CONNECTIONS]!
      await kms.disableKey({ KeyId })
      expect(await outcomes(encrypt)).toEqual(everywhere('DisabledException'))
      await kms.enableKey({ KeyId })
      expect(await outcomes(encrypt)).toEqual(everywhere('ok'))
    }
  })

  it('follow an alias from key to key', async () => {
    const [first, second] = [await createKey(), await createKey(clients[1])]
    const AliasName = 'alias/followed'
    await clients[0]!.createAlias({ AliasName, TargetKeyId: first })
    for (let round = 0; round < ROUNDS; round += 1) {
      const TargetKeyId = round % 2 === 0 ? second : first
      await clients[round % CONNECTIONS]!.updateAlias({ AliasName, TargetKeyId })
      const found = await Promise.all(clients.map(kms => kms.describeKey({ KeyId: AliasName })))
      expect(found.map(({ KeyMetadata }) => KeyMetadata!.KeyId)).toEqual(everywhere(TargetKeyId))
    }
  })

  it('honour grants until they are revoked, and access keys until they are disabled', async () => {
    const KeyId = await createKey()
    const account = sandbox.description.accountId
    const { arn: GranteePrincipal } = (await ask('identity/create', { account, kind: 'user', name: 'guest' })) as {
      arn: string
    }
    const owner = { account, kind: 'user', name: 'guest' }
    const credentials = (await ask('access-key/create', owner)) as { accessKeyId: string; secretAccessKey: string }
    const guests = clients.map(
      () =>
        new KMS({
          ...connectionOf(sandbox.description),
          ...{ credentials, maxAttempts: 1 },
          requestHandler: { httpAgent: { keepAlive: true, maxSockets: 1 } },
        }),
    )
    try {
      const generate = (kms: KMS) => kms.generateDataKey({ KeyId, KeySpec: 'AES_256' })
      for (let round = 0; round < ROUNDS; round += 1) {
        const kms = clients[round % CONNECTIONS]!
        const { GrantId } = await kms.createGrant({ KeyId, GranteePrincipal, Operations: ['GenerateDataKey'] })
        expect(await outcomes(generate, guests)).toEqual(everywhere('ok'))
        await kms.revokeGrant({ KeyId, GrantId })
        expect(await outcomes(generate, guests)).toEqual(everywhere('AccessDeniedException'))
      }
      await ask('access-key/disable', { ...owner, accessKeyId: credentials.accessKeyId })
      expect(await outcomes(generate, guests)).toEqual(everywhere('UnrecognizedClientException'))
    } finally {
      for (const guest of guests) guest.destroy()
    }
  })

  it('delete a key everywhere', async () => {
    const KeyId = await createKey()
    const { CiphertextBlob } = await clients[0]!.encrypt({ KeyId, Plaintext: Buffer.from('gone') })
    expect(await outcomes(kms => kms.decrypt({ CiphertextBlob }))).toEqual(everywhere('ok'))
    await clients[1]!.scheduleKeyDeletion({ KeyId, PendingWindowInDays: 7 })
    expect(await outcomes(kms => kms.decrypt({ CiphertextBlob }))).toEqual(everywhere('KMSInvalidStateException'))
  })

  it('share the rates of requests', async () => {
    const RetiringPrincipal = sandbox.description.callerArn
    const found = await outcomes(kms => kms.listRetirableGrants({ RetiringPrincipal }))
    expect(found.toSorted()).toEqual(['ok', ...everywhere('ThrottlingException', CONNECTIONS - 1)].toSorted())
  })

  it('have metrics that add up', async () => {
    const before = await counted('GenerateRandom')
    await Promise.all(clients.map(kms => kms.generateRandom({ NumberOfBytes: 16 })))
    expect((await counted('GenerateRandom')) - before).toBe(CONNECTIONS)
    const text = await (await fetch(`${sandbox.description.adminEndpoint}/metrics`)).text()
    expect(text).toMatch(new RegExp(`^strongroom_service_processes ${PROCESSES}$`, 'm'))
    expect(text).toMatch(/^strongroom_hsm_token_state{region="on-prem-1",token="on-prem-1-1",state="healthy"} 1$/m)
    expect(text).toMatch(
      new RegExp(`^strongroom_hsm_hosts{region="on-prem-1",token="on-prem-1-1"} ${PROCESSES + 1}$`, 'm'),
    )
  })

  it('lose no request and no event when one of them is killed, and another takes its place', async () => {
    const KeyId = await createKey()
    const acknowledged: string[] = []
    const kms = sandbox.client(RETRIES)
    const [victim] = await servicePids()
    const hosts = childrenOf(victim!).map(({ pid }) => pid)
    expect(hosts).toHaveLength(2)
    const load = startLoad(8, async lane => {
      const { $metadata } =
        lane === 0
          ? await kms.updateKeyDescription({ KeyId, Description: `${acknowledged.length}` })
          : await kms.generateDataKey({ KeyId, KeySpec: 'AES_256' })
      acknowledged.push($metadata.requestId!)
    })
    await waitUntil(() => load.answered() > 100, PATIENCE_MS)
    process.kill(victim!, 'SIGKILL')
    const then = load.answered()
    await waitUntil(() => load.answered() > then + 200, PATIENCE_MS)
    await waitForAnother(victim!)
    const { failures } = await load.stop()
    expect(failures).toEqual([])
    await waitUntilGone(hosts, PATIENCE_MS)
    const log = written()
    expect(acknowledged.filter(id => !log.includes(`"requestID":"${id}"`))).toEqual([])
  })

  it('kill one that does not hear of a change, before the change is answered', async () => {
    const KeyId = await createKey()
    const kms = sandbox.client(RETRIES)
    await kms.encrypt({ KeyId, Plaintext: Buffer.from('x') })
    const pids = await servicePids()
    const stopped = pids[0]!
    // The change goes through the other: the operator's commands reach the first process.
    process.kill(stopped, 'SIGSTOP')
    const late = { account: sandbox.description.accountId, kind: 'user', name: 'late' }
    const stillThere = await ask('identity/create', late).then(
      () => isAlive(stopped),
      // The command has less patience than a machine that has much else to do may need.
      () => undefined,
    )
    expect(stillThere).not.toBe(true)
    await waitForAnother(stopped)
  })

  it('write a chain each, which verify together and hold every request once', async () => {
    const KeyId = await createKey()
    await Promise.all(clients.map(() => sandbox.client(RETRIES).encrypt({ KeyId, Plaintext: Buffer.from('x') })))
    const asked = (await ask('audit/query', { key: KeyId, limit: 1_000 })) as RecordedEvent[]
    const ids = asked.filter(({ eventName }) => eventName === 'Encrypt').map(({ eventID }) => eventID)
    expect(new Set(ids).size).toBe(CONNECTIONS)
    expect(ids).toHaveLength(CONNECTIONS)
    const times = asked.map(({ eventTime }) => Date.parse(eventTime))
    expect(times).toEqual(times.toSorted((one, other) => other - one))
    const verdict = await verify()
    expect(verdict).toMatchObject({ code: 0, findings: [], uncovered: 0 })
    // That of the first process, and of each other one; two were killed.
    expect(verdict.chains).toHaveLength(1 + PROCESSES + 2)
    expect(await verify('--store')).toMatchObject({ findings: [] })
    const events = written().match(/"eventID":"[^"]+"/g)!
    expect(new Set(events).size).toBe(events.length)
  })

  it('show that the chain of one of them was removed', async () => {
    const copy = join(sandbox.description.dir, 'copy')
    mkdirSync(copy)
    const files = await listLogFiles(auditFolder())
    const { chain } = readLogFileName((await listFilesOf(PROCESSES, auditFolder())).at(-1)!)
    for (const path of files.filter(path => readLogFileName(path).chain !== chain))
      copyFileSync(path, join(copy, basename(path)))
    const { code, findings } = await verify(copy)
    expect([code, findings[0]?.what]).toEqual([2, expect.stringContaining(`chain ${chain}`)])
    rmSync(copy, { recursive: true })
  })

  it('refuse what the one cannot record that has it, and /readyz says which', async () => {
    const readiness = async () =>
      (await (await fetch(`${sandbox.description.adminEndpoint}/readyz`)).json()) as Readiness
    const found = async () => {
      const fresh = clients.map(() => sandbox.client({ maxAttempts: 1 }))
      return new Set(await outcomes(kms => kms.listKeys({}), fresh))
    }
    // The file that is written to is gone, and there can be no other.
    const file = (await listFilesOf(PROCESSES, auditFolder())).at(-1)!
    const number = Number(file.slice(-12, -6))
    const next = `${file.slice(0, -12)}${String(number + 1).padStart(6, '0')}.jsonl.new`
    mkdirSync(next)
    renameSync(file, `${file}.away`)
    await waitUntil(async () => !(await readiness()).ready, PATIENCE_MS)
    const { reason } = (await readiness()).audit
    expect(reason).toContain(`service process ${PROCESSES}: `)
    const both = new Set(['ok', 'DependencyTimeoutException'])
    await waitUntil(async () => both.isSubsetOf(await found()), PATIENCE_MS)
    renameSync(`${file}.away`, file)
    rmdirSync(next)
    await waitUntil(async () => (await readiness()).ready, PATIENCE_MS)
    expect(await found()).toEqual(new Set(['ok']))
    await ask('audit/query', { limit: 1 })
    expect(await verify()).toMatchObject({ findings: [] })
  })

  it('let no flood of callers who prove nothing fill the log: all together leave so many events, and count the others', async () => {
    const own = () => written().match(/"errorCode":"MissingAuthenticationTokenException"/g)?.length ?? 0
    const summed = () =>
      [...written().matchAll(/"eventName":"UnauthenticatedRequestsRefused".*?"refused":(\d+)/g)].reduce(
        (sum, [, refused]) => sum + Number(refused),
        0,
      )
    const unsigned = { method: 'POST', headers: { 'x-amz-target': 'TrentService.ListKeys' }, body: '{}' }
    const before = own() + summed()
    let sent = 0
    // A slow machine sends them slowly, and they are let through: until many are not.
    await waitUntil(async () => {
      const answers = await Promise.all(Array.from({ length: 50 }, () => fetch(sandbox.description.endpoint, unsigned)))
      sent += answers.filter(({ status }) => status === 400).length
      return sent - own() > 50
    }, PATIENCE_MS)
    // Each process tells of its own, some seconds later.
    await waitUntil(() => own() + summed() - before === sent, PATIENCE_MS)
    const asked = await ask('audit/query', { operation: 'UnauthenticatedRequestsRefused', limit: 100 })
    expect((asked as unknown[]).length).toBeGreaterThan(0)
  })

  it('end with the daemon, and nothing of them is left', async () => {
    const pids = await servicePids()
    const all = [sandbox.description.pid, ...pids, ...pids.flatMap(pid => childrenOf(pid).map(child => child.pid))]
    expect(all.length).toBe(1 + PROCESSES + PROCESSES * 2)
    await sandbox.stop()
    expect(all.filter(isAlive)).toEqual([])
  })
})

describe('the first process', () => {
  it('takes all others along when it is killed, and the next daemon closes what they have left', async () => {
    const instance = await makeInstance(['a'])
    try {
      instance.configure(['a'], { listen: { port: 0, processes: PROCESSES } })
      expect(await instance.init()).toMatchObject({ code: 0 })
      const { pid, endpoint, hsmHostPids, ended, log } = await instance.serve()
      const { servicePids: pids } = JSON.parse(log().match(/^.*"message":"ready".*$/m)![0]) as ReadyMessage
      expect([pids.length, hsmHostPids.length]).toEqual([PROCESSES, PROCESSES + 1])
      const kms = new KMS({ endpoint, region: REGION, credentials: readCredentials(instance.stateDir), maxAttempts: 1 })
      const { KeyMetadata } = await kms.createKey({})
      const acknowledged: string[] = []
      const load = startLoad(4, async () => {
        const { $metadata } = await kms.generateDataKey({ KeyId: KeyMetadata!.KeyId!, KeySpec: 'AES_256' })
        acknowledged.push($metadata.requestId!)
      })
      await waitUntil(() => load.answered() > 50, PATIENCE_MS)
      process.kill(pid, 'SIGKILL')
      await load.stop()
      await ended
      await waitUntilGone([...pids, ...hsmHostPids], PATIENCE_MS)
      instance.configure(['a'])
      const next = await instance.serve()
      const folder = join(instance.stateDir, 'audit')
      const lines = (await listLogFiles(folder)).map(path => readFileSync(path, 'utf8')).join('')
      expect(acknowledged.filter(id => !lines.includes(`"requestID":"${id}"`))).toEqual([])
      const { stdout } = await instance.run(['audit', 'verify', '--output', 'json'])
      const { findings, chains } = JSON.parse(stdout) as Verdict
      expect([findings, chains.length]).toEqual([[], 1 + PROCESSES + 1])
      // The next daemon's chain alone is open.
      expect(chains.slice(0, -1).map(({ uncovered }) => uncovered)).toEqual([0, 0, 0])
      process.kill(next.pid, 'SIGTERM')
      expect(await next.ended).toBe(0)
    } finally {
      instance.remove()
    }
  })
})
