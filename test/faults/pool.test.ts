/** A token that misbehaves beside one that does not: what the pool makes of it, family by family. */
import { hash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { buildFaultyModule, CALLS, callsOf, type FaultyModule, makeFaulty } from '../../scripts/chaos/faulty-module.ts'
import { contextHash } from '../../src/formats/aad.ts'
import { decodeEkt, encodeEkt } from '../../src/formats/ekt.ts'
import type { CommandName, Result } from '../../src/hsm/contract/commands.ts'
import type { HostConfiguration } from '../../src/hsm/contract/host-configuration.ts'
import type { PoolSettings } from '../../src/hsm/pool/pool.ts'
import { kidOf, newKeyId } from '../../src/model/key-id.ts'
import { TokenTurns } from '../../src/processes/token-turns.ts'
import { takeDescriptors } from '../support/descriptors.ts'
import { Host, type Outcome } from '../support/host.ts'
import { type Load, startLoad } from '../support/load.ts'
import { startPool, type WatchedPool } from '../support/pools.ts'
import { waitUntil, waitUntilGone } from '../support/processes.ts'
import { makeTokenDomain, type TokenDomain } from '../support/tokens.ts'

const CALLERS = 8
const NO_CONTEXT = contextHash(new Map())
/** The deadline of a hot command and what an answer may take besides, on a machine that has other things to do. */
const WORST_MS = 900 + 5_000
const DEVICE_ERROR = 0x30
const SESSION_HANDLE_INVALID = 0xb3
const OPERATION_ACTIVE = 0x90
const KEY_HANDLE_INVALID = 0x60
const USER_NOT_LOGGED_IN = 0x101
const GENERAL_ERROR = 5

let tokens: TokenDomain
let module: string
let made = 0
const started: WatchedPool[] = []
const loads: Load[] = []

beforeAll(async () => {
  tokens = await makeTokenDomain(['good', 'bad'])
  module = buildFaultyModule(tokens.folder)
})

afterEach(async () => {
  await Promise.all(loads.splice(0).map(load => load.stop()))
  await Promise.all(started.splice(0).map(({ pool }) => pool.close()))
})

afterAll(() => tokens?.remove())

const faulty = (): FaultyModule => makeFaulty(tokens.folder, `bad-${++made}`, module, tokens.locations[1]!)

function tokenOf(label: string, location: HostConfiguration['token'], limits: Partial<HostConfiguration> = {}) {
  return { label, configuration: tokens.configurationOf(location, { logsInAgain: true, ...limits }) }
}

async function startWith(
  bad: FaultyModule,
  settings: Partial<PoolSettings> = {},
  limits: Partial<HostConfiguration> & { hosts?: number } = {},
): Promise<WatchedPool> {
  const { hosts = 1, ...configuration } = limits
  const watched = startPool(
    [tokenOf('good', tokens.locations[0]!), { ...tokenOf('bad', bad.location, configuration), hosts }],
    settings,
  )
  started.push(watched)
  await watched.pool.whenReady(30_000)
  return watched
}

async function startAlone(bad: FaultyModule, limits: Partial<HostConfiguration> = {}): Promise<WatchedPool> {
  const watched = startPool([tokenOf('bad', bad.location, limits)])
  started.push(watched)
  await watched.pool.whenReady(30_000)
  return watched
}

async function makeKey({ pool }: WatchedPool) {
  const request = { account: '000000000001', keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' }
  const { record } = await pool.call('createBackingKey', { ...request, kid: kidOf(newKeyId()) })
  return { record: Buffer.from(record), digest: hash('sha256', record, 'buffer') }
}

async function resultOf<C extends CommandName>(outcome: Promise<Outcome<C>>): Promise<Result<C>> {
  const answer = await outcome
  if (answer.outcome !== 'result') throw new Error(`no result: ${answer.outcome}`)
  return answer.result
}

/** Data keys made and opened again, by several callers. */
async function startCommands(watched: WatchedPool): Promise<Load> {
  const ekt = await makeKey(watched)
  const args = { ekt, lengthBytes: 32, contextHash: NO_CONTEXT, plaintextWanted: true }
  const load = startLoad(CALLERS, async () => {
    const made = await watched.pool.call('generateDataKey', args)
    const [blob, key] = [Buffer.from(made.blob), Buffer.from(made.plaintext)]
    const { plaintext } = await watched.pool.call('decrypt', { ekt, blob, contextHash: NO_CONTEXT })
    if (!Buffer.from(plaintext).equals(key)) throw new Error('another plaintext')
  })
  loads.push(load)
  return load
}

const after = (load: Load, more: number) => {
  const before = load.answered()
  return waitUntil(() => load.answered() >= before + more, 20_000)
}

describe('a token that fails under load', () => {
  it.each<[string, (bad: FaultyModule) => void]>([
    ['answers CKR_DEVICE_ERROR to everything', bad => bad.set('fail', DEVICE_ERROR)],
    ['answers a code of its vendor', bad => bad.set('fail', 0x8000_1234)],
    ['does not return from any call', bad => bad.set('hang')],
    ['aborts its process', bad => bad.set('abort')],
    ['crashes its process', bad => bad.set('segfault')],
    ['takes three seconds for a call', bad => bad.set('wait', 3_000, CALLS.crypto)],
    ['says CKR_GENERAL_ERROR to ciphertexts', bad => bad.set('fail', GENERAL_ERROR, callsOf('C_Decrypt'))],
    ['says CKR_DEVICE_ERROR to MACs', bad => bad.set('fail', DEVICE_ERROR, callsOf('C_Verify', 'C_Sign'))],
  ])('fails no request when it %s', async (_, disturb) => {
    const bad = faulty()
    const watched = await startWith(bad)
    const load = await startCommands(watched)
    await after(load, 200)
    disturb(bad)
    await watched.reach('bad', 'open')
    await after(load, 100)
    bad.set('pass')
    await watched.reach('bad', 'healthy')
    await after(load, 100)
    const { failures, slowestMs } = await load.stop()
    expect(failures).toEqual([])
    expect(slowestMs).toBeLessThan(WORST_MS)
    expect(watched.changes.filter(change => change.startsWith('good'))).toEqual(['good healthy'])
  })

  it('is degraded and not given up when every eighth key that it derives fails', async () => {
    const bad = faulty()
    // Two known answers in a row may both meet an eighth, and that is a reason to give it up.
    const watched = await startWith(bad, { healthIntervalMs: 600_000 })
    const load = await startCommands(watched)
    bad.set('fail', DEVICE_ERROR, callsOf('C_DeriveKey'), { every: 8 })
    await watched.reach('bad', 'degraded')
    await after(load, 500)
    expect(watched.changes).not.toContain('bad open')
    bad.set('pass')
    expect((await load.stop()).failures).toEqual([])
  })

  it.each<[string, number, number]>([
    ['CKR_DEVICE_ERROR to a derivation', DEVICE_ERROR, callsOf('C_DeriveKey')],
    ['CKR_GENERAL_ERROR to a ciphertext', GENERAL_ERROR, callsOf('C_Decrypt')],
  ])('is not given up for a known answer that fails once: %s', async (_, code, calls) => {
    const bad = faulty()
    const watched = await startWith(bad)
    const probesOf = async (outcome: string) => {
      const { values } = await watched.metrics.probes.get()
      return values.find(({ labels }) => labels.token === 'bad' && labels.outcome === outcome)?.value ?? 0
    }
    bad.set('fail', code, calls, { times: 1 })
    await waitUntil(async () => (await probesOf('failed')) > 0, 20_000)
    const passed = await probesOf('passed')
    await waitUntil(async () => (await probesOf('passed')) >= passed + 2, 20_000)
    expect(watched.changes.filter(change => change.startsWith('bad'))).toEqual(['bad healthy'])
  })

  it('is given up when two known answers in a row fail, although nobody asks anything of it', async () => {
    const bad = faulty()
    const watched = await startWith(bad)
    bad.set('fail', DEVICE_ERROR, callsOf('C_DeriveKey'))
    await watched.reach('bad', 'open')
    bad.set('pass')
    await watched.reach('bad', 'healthy')
  })

  it('gets less work than a fast one', async () => {
    const bad = faulty()
    const watched = await startWith(bad)
    bad.set('wait', 5, callsOf('C_DeriveKey'))
    const load = await startCommands(watched)
    await after(load, 200)
    const count = async (token: string) => {
      const { values } = await watched.metrics.commandSeconds.get()
      const counts = values.filter(
        ({ labels, metricName }) => labels.token === token && metricName?.endsWith('_count') === true,
      )
      return counts.reduce((sum, { value }) => sum + value, 0)
    }
    const before = [await count('good'), await count('bad')]
    await after(load, 500)
    const [good, slow] = [(await count('good')) - before[0]!, (await count('bad')) - before[1]!]
    expect(slow).toBeLessThan(good / 10)
  })
})

describe('what a host repairs by itself', () => {
  it.each<[string, (bad: FaultyModule) => void]>([
    ['its sessions are closed', bad => bad.set('close-sessions', 0, callsOf('C_DeriveKey'), { times: 1 })],
    ['it is logged out', bad => bad.set('log-out', 0, callsOf('C_DeriveKey'), { times: 1 })],
    ['a session handle is invalid', bad => bad.set('fail', SESSION_HANDLE_INVALID, CALLS.crypto, { times: 1 })],
    ['an operation is active', bad => bad.set('fail', OPERATION_ACTIVE, CALLS.crypto, { times: 1 })],
    ['a key handle is invalid', bad => bad.set('fail', KEY_HANDLE_INVALID, callsOf('C_DeriveKey'), { times: 1 })],
    ['nobody is logged in', bad => bad.set('fail', USER_NOT_LOGGED_IN, callsOf('C_DeriveKey'), { times: 1 })],
  ])('does not reach the caller, nor the pool: %s', async (_, disturb) => {
    const bad = faulty()
    const watched = await startAlone(bad)
    const load = await startCommands(watched)
    for (let round = 0; round < 3; round++) {
      await after(load, 30)
      disturb(bad)
      await waitUntil(() => bad.disturbed() > 0, 5_000)
    }
    await after(load, 30)
    expect((await load.stop()).failures).toEqual([])
    expect(watched.changes).toEqual(['bad healthy'])
    expect(watched.pool.members).toMatchObject([{ restarts: 0 }])
  })
})

describe('a token that refuses every ciphertext', () => {
  it('is at fault for it, also when the host has to begin a command anew', async () => {
    const bad = faulty()
    const { host } = await Host.start(tokens.configurationOf(bad.location))
    await using _ = host
    const kid = kidOf(newKeyId())
    const request = { account: '000000000001', kid, keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' }
    const { record } = await resultOf(host.send('createBackingKey', request))
    const ekt = { record: Buffer.from(record), digest: hash('sha256', record, 'buffer') }
    const plaintext = Buffer.from('x')
    const { blob } = await resultOf(host.send('encrypt', { ekt, plaintext, contextHash: NO_CONTEXT }))
    const args = { ekt, blob: Buffer.from(blob), contextHash: NO_CONTEXT }
    bad.set('fail', GENERAL_ERROR, callsOf('C_Decrypt'))
    // The known answer leaves the token in the middle of an operation, which the next command finds.
    expect(await host.send('status', {})).toMatchObject({ outcome: 'fault', fault: { kind: 'token' } })
    for (let round = 0; round < 3; round += 1) {
      const answer = await host.send('decrypt', args)
      expect(answer).toMatchObject({ outcome: 'fault', fault: { kind: expect.stringMatching(/^(token|session)$/) } })
    }
    bad.set('pass')
    expect(Buffer.from((await resultOf(host.send('decrypt', args))).plaintext)).toEqual(plaintext)
  })
})

describe('all tokens down', () => {
  it('fails requests soon, and comes back by itself', async () => {
    const bad = faulty()
    const watched = await startAlone(bad)
    await makeKey(watched)
    bad.set('fail', DEVICE_ERROR)
    await watched.pool.call('generateRandom', { lengthBytes: 8 }).catch(() => {})
    await watched.reach('bad', 'open')
    const startedAt = performance.now()
    await expect(watched.pool.call('generateRandom', { lengthBytes: 8 })).rejects.toMatchObject({
      name: 'PoolUnavailable',
    })
    expect(performance.now() - startedAt).toBeLessThan(5_000)
    await new Promise(resolve => setTimeout(resolve, 3_000))
    bad.set('pass')
    const passedAt = performance.now()
    await waitUntil(
      () =>
        watched.pool.call('generateRandom', { lengthBytes: 8 }).then(
          () => true,
          () => false,
        ),
      10_000,
    )
    await watched.reach('bad', 'healthy')
    expect(performance.now() - passedAt).toBeLessThan(20_000)
    expect(watched.changes).toEqual(['bad healthy', 'bad open', 'bad probing', 'bad healthy'])
  })
})

describe('a host that cannot be spawned', () => {
  /** What is found to be mute meanwhile would be lost for good. */
  const PATIENT = { deadlineFloorMs: 60_000 }

  it('is tried again, and the other token serves meanwhile', async () => {
    const watched = await startWith(faulty(), PATIENT)
    const { pool } = watched
    {
      using descriptors = takeDescriptors()
      process.kill(pool.members[1]!.pids[0]!, 'SIGKILL')
      await waitUntil(() => {
        descriptors.takeAgain()
        return pool.status()[1]!.reason.includes('file descriptors')
      }, 20_000)
      expect((await pool.call('generateRandom', { lengthBytes: 8 })).random).toHaveLength(8)
    }
    await watched.reach('bad', 'healthy')
  })

  it('leaves the one whose place it was to take', async () => {
    const { pool } = await startWith(faulty(), PATIENT)
    const before = pool.members.map(({ pids }) => pids)
    const { domainKeys } = tokens.description
    const other = { ...tokens.description, domainKeys: [{ ...domainKeys[0]!, checkValue: '0'.repeat(16) }] }
    {
      using _ = takeDescriptors()
      await expect(pool.useDomain(other)).rejects.toThrow(/good: .*file descriptors.*bad: .*file descriptors/)
    }
    expect(pool.members.map(({ pids }) => pids)).toEqual(before)
    expect((await pool.call('generateRandom', { lengthBytes: 8 })).random).toHaveLength(8)
  })
})

describe('a command that ends its host', () => {
  it('costs two hosts, and no command that was in hand with it', async () => {
    const modules = [faulty(), faulty()]
    const watched = startPool(
      modules.map(({ location }, at) => tokenOf(`bad-${at}`, location)),
      { maxWaitMs: 10_000 },
    )
    started.push(watched)
    await watched.pool.whenReady(30_000)
    const ekt = await makeKey(watched)
    const sealed = await watched.pool.call('encrypt', { ekt, plaintext: Buffer.from('x'), contextHash: NO_CONTEXT })
    const args = { ekt, blob: Buffer.from(sealed.blob), contextHash: NO_CONTEXT }
    const open = () => Array.from({ length: 20 }, () => watched.pool.call('decrypt', args))
    for (const bad of modules) bad.set('abort', 0, CALLS.random)
    const before = open()
    const poison = watched.pool.call('generateRandom', { lengthBytes: 8 })
    const behind = open()
    await expect(poison).rejects.toMatchObject({ name: 'PoolUnavailable' })
    for (const bad of modules) bad.set('pass')
    const opened = await Promise.all([...before, ...behind])
    expect(new Set(opened.map(({ plaintext }) => Buffer.from(plaintext).toString()))).toEqual(new Set(['x']))
    for (const label of ['bad-0', 'bad-1']) await watched.reach(label, 'healthy')
    expect(watched.changes.filter(change => change.endsWith('open'))).toHaveLength(2)
  })
})

describe('a service that does not run for a while', () => {
  const PAUSE_MS = 2_500
  const pause = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS)

  it.each<[string, { hostRuns: boolean }]>([
    ['answered meanwhile', { hostRuns: true }],
    ['did not run either', { hostRuns: false }],
  ])('loses no host that %s', async (_, { hostRuns }) => {
    const watched = startPool([tokenOf('good', tokens.locations[0]!)])
    started.push(watched)
    await watched.pool.whenReady(30_000)
    const ekt = await makeKey(watched)
    const { restarts, pids } = watched.pool.members[0]!
    const seal = () => watched.pool.call('encrypt', { ekt, plaintext: Buffer.from('x'), contextHash: NO_CONTEXT })
    await seal()
    if (!hostRuns) process.kill(pids[0]!, 'SIGSTOP')
    const sealed = Array.from({ length: 20 }, seal)
    // The frames leave at the end of this turn of the event loop.
    await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
    pause()
    if (!hostRuns) process.kill(pids[0]!, 'SIGCONT')
    expect(await Promise.all(sealed)).toHaveLength(20)
    expect(watched.pool.members[0]).toMatchObject({ restarts, pids })
    expect(watched.changes).toEqual(['good healthy'])
  })
})

describe('several hosts of a token', () => {
  it('serve together, and the loss of one degrades the token and fails nothing', async () => {
    const bad = faulty()
    const watched = await startWith(bad, {}, { hosts: 2 })
    const member = watched.pool.members[1]!
    await waitUntil(() => member.pids.length === 2, 20_000)
    const load = await startCommands(watched)
    await after(load, 100)
    process.kill(member.pids[0]!, 'SIGKILL')
    await watched.reach('bad', 'degraded')
    await waitUntil(() => member.pids.length === 2, 20_000)
    await watched.reach('bad', 'healthy')
    expect((await load.stop()).failures).toEqual([])
  })

  it('try a PIN one after another, and never again once it was refused', async () => {
    const bad = faulty()
    bad.set('fail', 0xa0, callsOf('C_Login'))
    const watched = startPool([tokenOf('good', tokens.locations[0]!), { ...tokenOf('bad', bad.location), hosts: 4 }])
    started.push(watched)
    await watched.reach('bad', 'locked-out')
    await new Promise(resolve => setTimeout(resolve, 3_000))
    expect(bad.logins()).toBe(1)
    expect(watched.pool.ready).toBe(true)
    bad.set('pass')
    expect(watched.pool.unlock('good')).toBe(false)
    expect(watched.pool.unlock('bad')).toBe(true)
    await watched.reach('bad', 'healthy')
    await waitUntil(() => watched.pool.members[1]!.pids.length === 4, 20_000)
    expect(bad.logins()).toBe(5)
  })
})

describe('processes with hosts of their own', () => {
  it('try a PIN one after another, and none of them again once it was refused', async () => {
    const bad = faulty()
    bad.set('fail', 0xa0, callsOf('C_Login'))
    const turns = new TokenTurns()
    const pools = Array.from({ length: 3 }, () => {
      const siblings = { turns: turns.of({}), evict: async () => {} }
      return startPool([tokenOf('good', tokens.locations[0]!), tokenOf('bad', bad.location)], { siblings })
    })
    started.push(...pools)
    await Promise.all(pools.map(watched => watched.reach('bad', 'locked-out')))
    expect(bad.logins()).toBe(1)
    bad.set('pass')
    turns.allow(bad.location.uri)
    for (const { pool } of pools) expect(pool.unlock('bad')).toBe(true)
    await Promise.all(pools.map(watched => watched.reach('bad', 'healthy')))
    expect(bad.logins()).toBe(4)
  })
})

describe('threads in a host', () => {
  it('serve with a session each, and end with their host', async () => {
    const bad = faulty()
    const watched = await startAlone(bad, { threads: 4, logsInAgain: false })
    const load = await startCommands(watched)
    await after(load, 200)
    expect(watched.pool.status()).toMatchObject([{ hosts: 1, lanes: 4 }])
    expect((await load.stop()).failures).toEqual([])
    const [pid] = watched.pool.members[0]!.pids
    await watched.pool.close()
    expect(() => process.kill(pid!, 0)).toThrow('ESRCH')
  })

  it('are as many as the sessions suffice for', async () => {
    const watched = await startAlone(faulty(), { threads: 8, sessions: { limit: 8, shares: 1 } })
    expect(watched.pool.status()).toMatchObject([{ lanes: 3 }])
  })

  it('do not lose a command when one of them does not return', async () => {
    const bad = faulty()
    const watched = await startWith(bad, {}, { threads: 4, logsInAgain: false })
    const load = await startCommands(watched)
    await after(load, 100)
    bad.set('hang', 0, CALLS.crypto, { times: 1 })
    await watched.reach('bad', 'open')
    bad.set('pass')
    await watched.reach('bad', 'healthy')
    expect((await load.stop()).failures).toEqual([])
  })
})

describe('hosts are replaced without a failed command', () => {
  it('after so many commands', async () => {
    const watched = await startWith(faulty(), { recycleAfterCommands: 500 })
    const before = watched.pool.members.flatMap(({ pids }) => pids)
    const load = await startCommands(watched)
    await waitUntil(() => watched.pool.members.every(({ pids }) => pids.every(pid => !before.includes(pid))), 60_000)
    expect((await load.stop()).failures).toEqual([])
    expect(watched.changes.toSorted()).toEqual(['bad healthy', 'good healthy'])
    expect(watched.pool.members).toMatchObject([{ restarts: 0 }, { restarts: 0 }])
  })

  it('when one holds too much memory', async () => {
    const bad = faulty()
    const watched = await startWith(bad, { recycleAfterMb: 300 })
    const load = await startCommands(watched)
    const [before] = watched.pool.members[1]!.pids
    // A few large ones: the pool prefers the other token while this one is slower, and asks it once in a while only.
    bad.set('leak', 65_536, callsOf('C_DeriveKey'), { times: 4 })
    await waitUntil(() => watched.pool.members[1]!.pids.every(pid => pid !== before), 60_000)
    expect((await load.stop()).failures).toEqual([])
    expect(watched.changes.toSorted()).toEqual(['bad healthy', 'good healthy'])
  })

  it('when the domain is described anew', async () => {
    const watched = await startWith(faulty())
    const load = await startCommands(watched)
    const before = watched.pool.members.flatMap(({ pids }) => pids)
    await watched.pool.useDomain({ ...tokens.description, macKeys: [...tokens.description.macKeys] })
    expect(watched.pool.members.flatMap(({ pids }) => pids)).toEqual(before)
    const described = { ...tokens.description, region: tokens.description.region }
    const wrong = { ...described, domainKeys: [{ ...described.domainKeys[0]!, checkValue: '0'.repeat(16) }] }
    await expect(watched.pool.useDomain(wrong)).rejects.toMatchObject({ name: 'PoolUnavailable' })
    await watched.pool.useDomain(described)
    expect(watched.pool.members.flatMap(({ pids }) => pids).some(pid => before.includes(pid))).toBe(false)
    expect((await load.stop()).failures).toEqual([])
  })
})

describe('tokens that leave the pool and come back', () => {
  it('fail no command, and end their hosts', async () => {
    const bad = faulty()
    const watched = await startWith(bad)
    const { pool, metrics } = watched
    const both = [tokenOf('good', tokens.locations[0]!), tokenOf('bad', bad.location)] as const
    const before = pool.members
    pool.useTokens(both)
    expect(pool.members).toBe(before)
    const load = await startCommands(watched)
    await after(load, 100)
    const { pids } = pool.members.find(({ label }) => label === 'bad')!
    pool.useTokens([both[0]])
    expect(pool.members.map(({ label }) => label)).toEqual(['good'])
    await waitUntilGone(pids, 20_000)
    pool.report()
    const { values } = await metrics.hosts.get()
    expect(values.map(({ labels }) => labels.token)).toEqual(['good'])
    await after(load, 100)
    pool.useTokens(both)
    await watched.reach('bad', 'healthy')
    await waitUntil(() => pool.members.some(({ label, inFlight }) => label === 'bad' && inFlight > 0), 20_000)
    expect(await load.stop()).toMatchObject({ failures: [] })
  })

  it('may leave while one of their hosts is being replaced', async () => {
    const good = tokenOf('good', tokens.locations[0]!)
    const watched = startPool([tokenOf('bad', faulty().location), good])
    started.push(watched)
    const { pool, reach } = watched
    for (const label of ['bad', 'good']) await reach(label, 'healthy')
    // No token has such a key: neither host can be replaced, and only the one that stays is waited for.
    const { domainKeys } = tokens.description
    const wrong = { ...tokens.description, domainKeys: [{ ...domainKeys[0]!, checkValue: '0'.repeat(16) }] }
    const renewed = expect(pool.useDomain(wrong)).rejects.toThrow(/^hosts could not be replaced: good: /)
    await waitUntil(() => pool.members[0]!.pids.length === 1, 20_000)
    pool.useTokens([good])
    await renewed
    expect(pool.members.map(({ label }) => label)).toEqual(['good'])
    expect(pool.ready).toBe(true)
  })
})

describe('a key version that no host was told of', () => {
  it('has the row of the domain read once, and counts against no token', async () => {
    let reads = 0
    const watched = await startWith(faulty(), {
      async onStaleDomain() {
        reads += 1
      },
    })
    const { fields, mac } = decodeEkt((await makeKey(watched)).record)
    const record = encodeEkt({ ...fields, macVersion: 2 }, mac)
    const ekt = { record, digest: hash('sha256', record, 'buffer') }
    const ask = () => watched.pool.call('encrypt', { ekt, plaintext: Buffer.from('x'), contextHash: NO_CONTEXT })
    const answers = await Promise.allSettled(Array.from({ length: 200 }, ask))
    for (const answer of answers) expect(answer).toMatchObject({ status: 'rejected', reason: { kind: 'key' } })
    expect(reads).toBeGreaterThan(0)
    expect(reads).toBeLessThan(10)
    expect(watched.changes.toSorted()).toEqual(['bad healthy', 'good healthy'])
  })
})
