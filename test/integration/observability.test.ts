/** What an operator sees of a daemon: health, metrics and logs. */
import type { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startLoad } from '../support/load.ts'
import { readMetrics, sumOf } from '../support/metrics.ts'
import { childrenOf, waitUntil } from '../support/processes.ts'
import { type Sandbox, startSandbox } from '../support/sandbox.ts'

const LEFT = 'region="on-prem-1",token="on-prem-1-1"'
const RIGHT = 'region="on-prem-1",token="on-prem-1-2"'
const HOT_REQUESTS = 1_000
const LANES = 10
const SOON_MS = 60_000
const REQUEST_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

let sandbox: Sandbox
let kms: KMS
let KeyId: string

beforeAll(async () => {
  sandbox = await startSandbox({ settings: { log: { level: 'debug' }, hsm: { healthIntervalMs: 1_000 } } })
  kms = sandbox.client()
  KeyId = (await kms.createKey({})).KeyMetadata!.KeyId!
  await kms.createAlias({ AliasName: 'alias/hot', TargetKeyId: KeyId })
})

afterAll(async () => {
  await sandbox?.stop()
})

const get = (path: string) => fetch(sandbox.description.adminEndpoint + path)

const metrics = () => readMetrics(sandbox.description.adminEndpoint)

/** The lines of the log that are the daemon's. What `init` says before it starts is for people. */
const logLines = (): Record<string, unknown>[] => {
  const lines = sandbox.log().trim().split('\n')
  return lines.slice(lines.findIndex(line => line.startsWith('{'))).map(line => JSON.parse(line))
}

describe('the hot path', () => {
  it('reads nothing from the database, and opens no secret', async () => {
    const reads = async () => {
      const samples = await metrics()
      return [samples.get('strongroom_store_hot_reads_total'), samples.get('strongroom_signing_keys_opened_total')]
    }
    const { CiphertextBlob } = await kms.encrypt({ KeyId: 'alias/hot', Plaintext: Buffer.from('x') })
    const before = await reads()
    expect(before).toEqual([expect.any(Number), 1])
    expect(before[0]).toBeGreaterThan(0)
    const load = startLoad(LANES, async lane => {
      if (lane % 3 === 0) await kms.generateDataKey({ KeyId, KeySpec: 'AES_256' })
      else if (lane % 3 === 1) await kms.decrypt({ CiphertextBlob: CiphertextBlob! })
      else await kms.encrypt({ KeyId: 'alias/hot', Plaintext: Buffer.from('x') })
    })
    await waitUntil(() => load.answered() >= HOT_REQUESTS, SOON_MS)
    expect(await load.stop()).toMatchObject({ failures: [] })
    expect(await reads()).toEqual(before)
  })
})

describe('/metrics', () => {
  it('has what the daemon and its tokens do, and only labels from closed sets', async () => {
    await expect(kms.describeKey({ KeyId: 'alias/absent' })).rejects.toMatchObject({ name: 'NotFoundException' })
    await waitUntil(async () => ((await metrics()).get(`strongroom_hsm_open_sessions{${LEFT}}`) ?? 0) > 0, SOON_MS)
    const samples = await metrics()
    const account = sandbox.description.accountId
    const requests = (operation: string, outcome: string) =>
      samples.get(`strongroom_requests_total{operation="${operation}",outcome="${outcome}",account="${account}"}`)
    expect(requests('GenerateDataKey', 'ok')).toBeGreaterThan(100)
    expect(requests('DescribeKey', 'NotFoundException')).toBe(1)
    expect(requests('CreateKey', 'ok')).toBe(1)
    for (const token of [LEFT, RIGHT]) {
      expect(samples.get(`strongroom_hsm_token_state{${token},state="healthy"}`)).toBe(1)
      expect(samples.get(`strongroom_hsm_token_state{${token},state="open"}`)).toBe(0)
      expect(samples.get(`strongroom_hsm_host_resident_memory_bytes{${token}}`)).toBeGreaterThan(1e7)
    }
    const commands = sumOf(samples, 'strongroom_hsm_command_duration_seconds_count{')
    expect(commands).toBeGreaterThan(HOT_REQUESTS)
    expect(sumOf(samples, 'strongroom_hsm_command_round_trip_seconds_count{')).toBe(commands)
    expect(sumOf(samples, 'strongroom_request_duration_seconds_count{')).toBe(
      sumOf(samples, 'strongroom_requests_total{'),
    )
    const mechanism = 'command="generateDataKey",mechanism="AES-256-GCM"'
    expect(samples.get(`strongroom_hsm_command_duration_seconds_count{${LEFT},${mechanism}}`)).toBeGreaterThan(0)
    for (const token of [LEFT, RIGHT]) {
      expect(samples.get(`strongroom_hsm_lanes{${token}}`)).toBe(1)
      expect(samples.get(`strongroom_hsm_host_cpu_seconds_total{${token}}`)).toBeGreaterThan(0)
      expect(samples.get(`strongroom_hsm_token_state_changes_total{${token},state="healthy"}`)).toBeGreaterThanOrEqual(
        1,
      )
    }
    expect(samples.get('strongroom_region_ready{region="on-prem-1"}')).toBe(1)
    expect(samples.get('strongroom_store_hot_hits_total')).toBeGreaterThan(HOT_REQUESTS)
    expect(samples.get('strongroom_store_file_bytes{file="database"}')).toBeGreaterThan(0)
    expect(samples.get('strongroom_store_transaction_duration_seconds_count{outcome="committed"}')).toBeGreaterThan(0)
    expect(samples.get('strongroom_connections')).toBeGreaterThan(0)
    for (const name of ['waiting', 'in_flight'])
      expect(sumOf(samples, `strongroom_hsm_commands_${name}{`)).toBeGreaterThanOrEqual(0)
    expect(samples.get('strongroom_store_cached_records')).toBeGreaterThan(0)
    expect(samples.get('strongroom_keys_deleted_total')).toBe(0)
    expect(samples.get('strongroom_process_cpu_seconds_total')).toBeGreaterThan(0)
    const strangers = [KeyId, sandbox.description.accessKeyId, 'alias/absent']
    expect([...samples.keys()].filter(name => strangers.some(stranger => name.includes(stranger)))).toEqual([])
  })

  it('counts an operation that nobody knows under one name', async () => {
    const send = (target: string) =>
      fetch(sandbox.description.endpoint, { method: 'POST', headers: { 'x-amz-target': target }, body: '{}' })
    const before = sumOf(await metrics(), 'strongroom_requests_total{operation="unknown"')
    for (const target of ['TrentService.Strange1', 'TrentService.Strange2']) await send(target)
    const samples = await metrics()
    expect(sumOf(samples, 'strongroom_requests_total{operation="unknown"')).toBe(before + 2)
    expect([...samples.keys()].filter(name => name.includes('Strange'))).toEqual([])
  })
})

describe('hosts', () => {
  it('tell how many EKTs they took into use', async () => {
    const imports = async () => sumOf(await metrics(), 'strongroom_hsm_hbk_imports_total{')
    const before = await imports()
    const other = (await kms.createKey({})).KeyMetadata!.KeyId!
    await kms.generateDataKey({ KeyId: other, KeySpec: 'AES_256' })
    await waitUntil(async () => (await imports()) > before, SOON_MS)
  })
})

describe('the log', () => {
  it('is JSON, a line for each request, with the request id that the caller got', async () => {
    const unsigned = await fetch(sandbox.description.endpoint, { method: 'POST', body: '{}' })
    const answers = [
      await kms.encrypt({ KeyId, Plaintext: Buffer.from('x') }),
      await kms.updateKeyDescription({ KeyId, Description: 'changed' }),
      await kms.describeKey({ KeyId: 'alias/absent' }).catch(error => error),
    ]
    const ids = [unsigned.headers.get('x-amzn-requestid'), ...answers.map(({ $metadata }) => $metadata.requestId)]
    for (const id of ids) expect(id).toMatch(REQUEST_ID)
    await waitUntil(() => sandbox.log().includes(ids.at(-1)!), SOON_MS)
    const timed = { milliseconds: expect.any(Number), timestamp: expect.stringMatching(/Z$/) }
    const common = { message: 'request', source: '127.0.0.1', ...timed }
    const { accessKeyId, callerArn: principal } = sandbox.description
    const byAdmin = { ...common, accessKeyId, principal, region: 'on-prem-1' }
    expect(logLines().filter(({ requestId }) => ids.includes(requestId as string))).toEqual([
      {
        ...{ ...common, requestId: ids[0], operation: 'unknown', outcome: 'MissingAuthenticationTokenException' },
        ...{ level: 'info', reason: expect.any(String) },
      },
      { ...byAdmin, requestId: ids[1], operation: 'Encrypt', outcome: 'ok', level: 'debug' },
      { ...byAdmin, requestId: ids[2], operation: 'UpdateKeyDescription', outcome: 'ok', level: 'info' },
      {
        ...{ ...byAdmin, requestId: ids[3], operation: 'DescribeKey', outcome: 'NotFoundException', level: 'info' },
        reason: 'Alias arn:aws:kms:on-prem-1:000000000001:alias/absent is not found.',
      },
    ])
  })

  it('says of a refusal as much as its event keeps, however much the caller has written', async () => {
    const { KeyId } = (await kms.createKey({})).KeyMetadata!
    const refused = await kms.updateKeyDescription({ KeyId, Description: 'd'.repeat(9_000) }).catch(error => error)
    expect(refused).toMatchObject({ name: 'ValidationException', message: expect.stringContaining('d'.repeat(9_000)) })
    const { requestId } = refused.$metadata
    await waitUntil(() => sandbox.log().includes(requestId), SOON_MS)
    const [line] = logLines().filter(each => each.requestId === requestId)
    expect(line?.reason).toHaveLength(1_024)
  })
})

describe('health', () => {
  it('tells the living from the ready', async () => {
    const healthz = await get('/healthz')
    expect([healthz.status, await healthz.json()]).toEqual([200, { status: 'ok' }])
    const hsms = ['on-prem-1-1', 'on-prem-1-2'].map(hsm => ({ hsm, state: 'healthy' }))
    const readyz = await get('/readyz')
    const writable = { audit: { writable: true }, store: { writable: true } }
    const ready = { ready: true, ...writable, regions: [{ region: 'on-prem-1', ready: true, hsms }] }
    expect([readyz.status, await readyz.json()]).toEqual([200, ready])
    expect((await get('/nothing')).status).toBe(404)
    expect((await fetch(`${sandbox.description.adminEndpoint}/healthz`, { method: 'POST' })).status).toBe(404)
  })

  it('says that nothing is ready while no token can serve', async () => {
    const statuses: number[] = []
    for (const { pid, command } of childrenOf(sandbox.description.pid))
      if (command.includes('hsm/host/main.ts')) process.kill(pid, 'SIGKILL')
    await waitUntil(async () => {
      statuses.push((await get('/readyz')).status)
      expect((await get('/healthz')).status).toBe(200)
      return statuses.includes(503) && statuses.at(-1) === 200
    }, SOON_MS)
    await waitUntil(() => sandbox.log().includes('"state":"open"'), SOON_MS)
    const samples = await metrics()
    expect(sumOf(samples, 'strongroom_hsm_host_restarts_total{')).toBeGreaterThanOrEqual(1)
  })
})
