/**
 * HSM hosts that are killed, stopped or hang while requests come in: the tokens that are left answer, and the caller sees a
 * slower answer and no error. The SDK does not retry here, so that nothing is hidden.
 */
import { rmSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { buildFaultyModule, CALLS, type FaultyModule, makeFaulty } from '../../scripts/chaos/faulty-module.ts'
import { HsmPool } from '../../src/hsm/pool/pool.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { type Load, type LoadResult, startLoad } from '../support/load.ts'
import { childrenOf, isAlive, listProcesses, parentOf, waitUntil, waitUntilGone } from '../support/processes.ts'
import { type Sandbox, startSandbox } from '../support/sandbox.ts'
import { makeTokenDomain, REGION, silentLogger, type TokenDomain } from '../support/tokens.ts'

const LANES = 8
/** What a pool may need to notice, to start a host again and to log in, on a machine that has other things to do. */
const BACK_MS = 20_000
const GONE_MS = 5_000
/** The deadline of a command of the hot path, and what an answer may take besides. */
const DEADLINE_MS = 900

const hostsOf = (daemon: number): number[] =>
  childrenOf(daemon)
    .filter(({ command }) => command.includes('hsm/host/main.ts'))
    .map(({ pid }) => pid)

const summary = ({ failures }: LoadResult) => failures.map(({ name, message }) => `${name}: ${message}`)

let tokens: TokenDomain
let faulty: FaultyModule
let hung: Promise<unknown>
const pools: HsmPool[] = []
const START_DEADLINE_MS = 15_000

beforeAll(async () => {
  tokens = await makeTokenDomain(['good', 'bad'])
  faulty = makeFaulty(tokens.folder, 'bad', buildFaultyModule(tokens.folder), tokens.locations[1]!)
  hung = hangsAtStart()
  hung.catch(() => {})
})

afterAll(async () => {
  await Promise.all(pools.map(pool => pool.close()))
  tokens?.remove()
})

function startPool(labels: Readonly<Record<string, ReturnType<TokenDomain['configurationOf']>>>): HsmPool {
  const tokens = Object.entries(labels).map(([label, configuration]) => ({ label, configuration }))
  const bounds = { maxCommands: 1_000, maxWaitMs: 5_000, healthIntervalMs: 1_000 }
  const pool = new HsmPool({ region: REGION, tokens, ...bounds }, { metrics: new Metrics(), logger: silentLogger })
  pools.push(pool)
  return pool
}

/** A token whose library does not return from C_OpenSession; it takes as long as the deadline of a host's start. */
async function hangsAtStart() {
  const stuck = makeFaulty(tokens.folder, 'stuck', buildFaultyModule(tokens.folder), tokens.locations[1]!)
  stuck.set('hang', 0, CALLS.sessions)
  const pool = startPool({
    good: tokens.configurationOf(tokens.locations[0]!),
    stuck: tokens.configurationOf(stuck.location),
  })
  await waitUntil(() => pool.ready, BACK_MS)
  const served = await pool.call('generateRandom', { lengthBytes: 8 })
  await waitUntil(
    () => pool.members[1]!.state === 'open',
    // What the service did not run for is not counted against a host that starts.
    4 * START_DEADLINE_MS,
    () => 'the host was not given up',
  )
  stuck.set('pass')
  // The second start may have begun before the library was well again.
  await waitUntil(() => pool.members.every(({ state }) => state === 'healthy'), 2 * START_DEADLINE_MS)
  return served.random.length
}

describe('a daemon with two tokens', () => {
  let sandbox: Sandbox
  let keyId: string
  let load: Load | undefined

  beforeAll(async () => {
    sandbox = await startSandbox({ tokens: 2 })
    keyId = (await sandbox.client().createKey({})).KeyMetadata!.KeyId!
  })

  afterEach(async () => {
    await load?.stop()
    load = undefined
  })

  // The last test has ended it already, unless it failed.
  afterAll(() => sandbox?.stop().catch(() => {}))

  async function statesOf(): Promise<string[]> {
    const readiness = await (await fetch(`${sandbox.description.adminEndpoint}/readyz`)).json()
    return (readiness as { regions: { hsms: { state: string }[] }[] }).regions.flatMap(({ hsms }) =>
      hsms.map(({ state }) => state),
    )
  }

  /** Waits until other hosts serve in the place of these. */
  async function replaced(...victims: readonly number[]): Promise<void> {
    const hosts = () => hostsOf(sandbox.description.pid).filter(pid => !victims.includes(pid))
    await waitUntil(
      () => hosts().length === 2,
      BACK_MS,
      () => 'hosts were not started again',
    )
    await waitUntil(
      async () => (await statesOf()).join() === 'healthy,healthy',
      BACK_MS,
      () => 'hosts are not healthy',
    )
  }

  function startRequests(): Load {
    const kms = sandbox.client()
    const EncryptionContext = { purpose: 'load' }
    load = startLoad(LANES, async lane => {
      if (lane % 2 === 0) {
        const dataKey = await kms.generateDataKey({ KeyId: keyId, KeySpec: 'AES_256', EncryptionContext })
        const { Plaintext } = await kms.decrypt({ CiphertextBlob: dataKey.CiphertextBlob!, EncryptionContext })
        if (!Buffer.from(Plaintext!).equals(dataKey.Plaintext!)) throw new Error('another plaintext')
      } else {
        const { CiphertextBlob } = await kms.encrypt({ KeyId: keyId, Plaintext: Buffer.from('x') })
        await kms.reEncrypt({ CiphertextBlob: CiphertextBlob!, DestinationKeyId: keyId })
      }
    })
    return load
  }

  it('fails no request while its hosts are killed one after the other, again and again', async () => {
    const requests = startRequests()
    const killed = new Set<number>()
    for (let round = 0; round < 6; round++) {
      const before = requests.answered()
      await waitUntil(() => requests.answered() > before + 20, BACK_MS)
      const hosts = hostsOf(sandbox.description.pid)
      expect(hosts).toHaveLength(2)
      const victim = hosts.toSorted((a, b) => a - b)[0]!
      process.kill(victim, 'SIGKILL')
      killed.add(victim)
      await replaced(victim)
    }
    const result = await requests.stop()
    expect(summary(result)).toEqual([])
    expect(killed.size).toBe(6)
  })

  it('serves elsewhere what a mute host had been given, and replaces the host', async () => {
    const requests = startRequests()
    await waitUntil(() => requests.answered() > 20, BACK_MS)
    const [victim, other] = hostsOf(sandbox.description.pid)
    process.kill(victim!, 'SIGSTOP')
    const before = requests.answered()
    await waitUntil(
      () => !isAlive(victim!),
      DEADLINE_MS + 3_000,
      () => 'the mute host was not killed',
    )
    expect(requests.answered()).toBeGreaterThan(before)
    await replaced(victim!)
    const result = await requests.stop()
    expect(summary(result)).toEqual([])
    expect(result.slowestMs).toBeGreaterThan(DEADLINE_MS - 500)
    expect(result.slowestMs).toBeLessThan(2 * DEADLINE_MS + 5_000)
    expect(isAlive(other!)).toBe(true)
  })

  it('answers late, or that no token can serve, when all hosts are killed at once, and then as before', async () => {
    const requests = startRequests()
    await waitUntil(() => requests.answered() > 20, BACK_MS)
    const victims = hostsOf(sandbox.description.pid)
    for (const host of victims) process.kill(host, 'SIGKILL')
    await replaced(...victims)
    const before = requests.answered()
    await waitUntil(() => requests.answered() > before + 50, BACK_MS)
    const result = await requests.stop()
    // In flight at both deaths, a command is not repeated; all others wait.
    expect(new Set(result.failures.map(({ name }) => name))).toEqual(
      new Set(result.failures.length === 0 ? [] : ['DependencyTimeoutException']),
    )
    // A lane that was told so asks again, and may be told once more on a machine where hosts start slowly.
    expect(result.failures.length).toBeLessThanOrEqual(4 * LANES)
  })

  it('takes its hosts along when it is killed, a stopped one too, and the sandbox ends', async () => {
    const { pid, dir } = sandbox.description
    const hosts = hostsOf(pid)
    expect(hosts).toHaveLength(2)
    const parent = parentOf(pid)
    process.kill(hosts[0]!, 'SIGSTOP')
    process.kill(pid, 'SIGKILL')
    await waitUntilGone([pid, ...hosts, parent], GONE_MS)
    await expect(sandbox.stop()).rejects.toThrow('the sandbox ended with 1')
    expect(listProcesses().filter(({ command }) => command.includes(dir))).toEqual([])
  })
})

describe('when the parent of the service is killed', () => {
  it('the service stops, and its hosts with it', async () => {
    const sandbox = await startSandbox({ tokens: 2 })
    const { pid, hsmHostPids, dir } = sandbox.description
    try {
      process.kill(parentOf(pid), 'SIGKILL')
      await waitUntilGone([pid, ...hsmHostPids], GONE_MS)
      expect(sandbox.log()).toContain('"because":"the end of the parent process"')
    } finally {
      await sandbox.stop().catch(() => {})
      rmSync(dir, { recursive: true, force: true })
    }
  })
})

describe('a library that hangs or fails', () => {
  it('does not keep the other token from serving', async () => {
    const pool = startPool({
      good: tokens.configurationOf(tokens.locations[0]!),
      bad: tokens.configurationOf(faulty.location),
    })
    await pool.whenReady(BACK_MS)
    const [pid] = pool.members[1]!.pids
    // CKR_DEVICE_REMOVED: the token's fault, so another one is asked.
    faulty.set('fail', 0x32)
    const answers = await Promise.all(Array.from({ length: 40 }, () => pool.call('generateRandom', { lengthBytes: 8 })))
    expect(answers.map(({ random }) => random.length)).toEqual(Array.from({ length: 40 }, () => 8))
    await waitUntil(
      () => pool.members[1]!.pids[0] !== pid,
      BACK_MS,
      () => 'the failing host was not given up',
    )
    expect(pool.ready).toBe(true)
    faulty.set('pass')
    await waitUntil(() => pool.members.every(({ state }) => state === 'healthy'), BACK_MS)
    faulty.set('hang')
    const late = await Promise.all(Array.from({ length: 40 }, () => pool.call('generateRandom', { lengthBytes: 8 })))
    expect(late).toHaveLength(40)
    faulty.set('pass')
  })

  it('is given up when a host does not become ready, and tried again', async () => {
    expect(await hung).toBe(8)
  })
})
