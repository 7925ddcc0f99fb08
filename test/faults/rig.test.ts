/**
 * The rig does what it says: each mode of the module, before a real SoftHSM token, as an HSM host without a pool meets it.
 * What the daemon makes of it is for chaos.test.ts.
 */
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import {
  ALL_CALLS,
  buildFaultyModule,
  CALL_NAMES,
  CALLS,
  callsOf,
  type FaultyModule,
  makeFaulty,
} from '../../scripts/chaos/faulty-module.ts'
import { Host } from '../support/host.ts'
import { isAlive, waitUntilGone } from '../support/processes.ts'
import { asPinHolder, makeTokenDomain, type TokenDomain } from '../support/tokens.ts'

const SOURCE = fileURLToPath(new URL('../../scripts/chaos/faulty-module.c', import.meta.url))
const CKR_DEVICE_ERROR = 0x30
const CKR_PIN_INCORRECT = 0xa0
const CKR_VENDOR = 0x8000_0042
const GONE_MS = 10_000
/** Long enough to tell a call that waits from one that is late on a busy machine. */
const DELAY_MS = 1_500

const RANDOM = { lengthBytes: 8 }

let tokens: TokenDomain
let module: FaultyModule
const hosts: Host[] = []
let serial = 0
let modulePath: string

beforeAll(async () => {
  tokens = await makeTokenDomain(['faulty'])
  modulePath = buildFaultyModule(tokens.folder)
})

afterEach(async () => {
  // Two tests look at the sources alone.
  module?.set('pass')
  for (const host of hosts.splice(0)) await host[Symbol.asyncDispose]()
})

afterAll(() => tokens?.remove())

/** A control file of the test's own: counts begin at 0. */
function rig(): FaultyModule {
  module = makeFaulty(tokens.folder, `rig-${serial++}`, modulePath, tokens.locations[0]!)
  return module
}

/** Starts a host behind the module. */
async function start({ location } = module) {
  const started = await Host.start(tokens.configurationOf(location))
  hosts.push(started.host)
  return started
}

async function startReady(): Promise<Host> {
  rig()
  const { host, event } = await start()
  expect(event.type).toBe('ready')
  return host
}

const random = (host: Host) => host.send('generateRandom', RANDOM)
const served = expect.objectContaining({ outcome: 'result' })
const refused = (reason: string) => ({ outcome: 'fault', fault: expect.objectContaining({ reason }) })

async function timed(run: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now()
  await run()
  return performance.now() - startedAt
}

describe('the calls', () => {
  it('have the same order in both sources, and a bit each', () => {
    const [, list = ''] = /#define CALLS\(X\)((?:.*\\\n)+.*)/.exec(readFileSync(SOURCE, 'utf8')) ?? []
    expect([...list.matchAll(/X\((\w+)\)/g)].map(([, name]) => name)).toEqual(CALL_NAMES)
    expect(ALL_CALLS).toBe(0xffff_ffff)
    expect(callsOf('C_Initialize')).toBe(1)
  })

  it('are in one group each', () => {
    const groups = Object.values(CALLS).map(BigInt)
    expect(groups.reduce((all, group) => all | group)).toBe(BigInt(ALL_CALLS))
    expect(groups.reduce((all, group) => all + group)).toBe(BigInt(ALL_CALLS))
  })
})

describe('a module that is told nothing', () => {
  it('passes everything on, counts logins and objects, and names the processes that have it loaded', async () => {
    const host = await startReady()
    expect(await random(host)).toEqual(served)
    expect(module.logins()).toBe(1)
    expect(module.disturbed()).toBe(0)
    const pids = module.pids()
    expect(pids).toHaveLength(1)
    expect(isAlive(pids[0]!)).toBe(true)
    await start()
    expect(module.pids()).toEqual([pids[0], expect.any(Number)])
    expect(module.logins()).toBe(2)
  })

  it('is not loaded with a control file that is none', async () => {
    const { location } = rig()
    const environment = { ...location.environment, FAULTY_CONTROL: '/dev/null' }
    const { event } = await start({ ...module, location: { ...location, environment } })
    expect(event).toMatchObject({ type: 'failed' })
  })
})

describe('a module that delays', () => {
  it('does so in the calls that are meant, and in no other', async () => {
    const host = await startReady()
    module.set('wait', DELAY_MS, CALLS.random)
    expect(await timed(() => random(host))).toBeGreaterThan(DELAY_MS)
    expect(module.disturbed()).toBe(1)
    module.set('wait', DELAY_MS, CALLS.keys)
    await random(host)
    expect(module.disturbed()).toBe(1)
  })
})

describe('a module that answers with an error', () => {
  it('does so every time', async () => {
    const host = await startReady()
    module.set('fail', CKR_DEVICE_ERROR, CALLS.random)
    for (let at = 0; at < 3; at++) expect(await random(host)).toEqual(refused('C_GenerateRandom: CKR_DEVICE_ERROR'))
    module.set('pass')
    expect(await random(host)).toEqual(served)
  })

  it('does so every n-th time', async () => {
    const host = await startReady()
    module.set('fail', CKR_DEVICE_ERROR, CALLS.random, { every: 3 })
    const outcomes: string[] = []
    for (let at = 0; at < 9; at++) outcomes.push((await random(host)).outcome)
    expect(outcomes).toEqual(Array.from({ length: 3 }, () => ['result', 'result', 'fault']).flat())
  })

  it('does so for the next calls only, with a code that no table knows', async () => {
    const host = await startReady()
    module.set('fail', CKR_VENDOR, CALLS.random, { times: 2 })
    for (let at = 0; at < 2; at++)
      expect(await random(host)).toEqual(refused(expect.stringContaining('0x80000042') as unknown as string))
    expect(await random(host)).toEqual(served)
    expect(module.disturbed()).toBe(2)
  })

  it('refuses the PIN, which the token never sees, and counts', async () => {
    rig().set('fail', CKR_PIN_INCORRECT, callsOf('C_Login'))
    const { event } = await start()
    expect(event).toMatchObject({ type: 'failed', retry: false })
    expect(module.logins()).toBe(1)
    module.set('pass')
    expect((await start()).event.type).toBe('ready')
  })
})

describe('a module that goes mute', () => {
  it('answers when it is released', async () => {
    const host = await startReady()
    module.set('hang', 0, CALLS.random)
    let answered = false
    const answer = random(host).finally(() => {
      answered = true
    })
    await sleep(DELAY_MS)
    expect(answered).toBe(false)
    expect(module.disturbed()).toBe(1)
    module.set('pass')
    expect(await answer).toEqual(served)
  })

  it('hangs for ever, whatever it is told then; SIGKILL ends it', async () => {
    const host = await startReady()
    module.set('hang-for-ever', 0, CALLS.random)
    const answer = random(host).then(
      () => 'answered',
      () => 'ended',
    )
    await sleep(200)
    module.set('pass')
    expect(await Promise.race([answer, sleep(DELAY_MS, 'mute')])).toBe('mute')
    process.kill(module.pids()[0]!, 'SIGKILL')
    expect(await answer).toBe('ended')
  })

  it.each(['C_Initialize', 'C_Login'] as const)('hangs in %s', async call => {
    rig().set('hang', 0, callsOf(call))
    const started = start()
    expect(await Promise.race([started, sleep(DELAY_MS, 'mute')])).toBe('mute')
    module.set('pass')
    expect((await started).event.type).toBe('ready')
  })
})

describe('a module that takes its process down', () => {
  it.each(['abort', 'segfault', 'devour'] as const)('by %s', async mode => {
    const host = await startReady()
    const [pid] = module.pids()
    module.set(mode, 64, CALLS.random, { times: 1 })
    await expect(random(host)).rejects.toThrow('the host closed its channel')
    await waitUntilGone([pid!], GONE_MS)
    const next = await start()
    expect(next.event.type).toBe('ready')
    expect(await random(next.host)).toEqual(served)
  })

  it('leaks what it is told to with every call', async () => {
    const host = await startReady()
    const rssMb = () =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${module.pids()[0]}/status`, 'utf8'))![1]) / 1024
    await random(host)
    const before = rssMb()
    module.set('leak', 1_024, CALLS.random)
    for (let at = 0; at < 40; at++) expect(await random(host)).toEqual(served)
    expect(rssMb()).toBeGreaterThan(before + 35)
  })
})

describe('a module that works against its process', () => {
  const search = callsOf('C_FindObjectsInit')

  // A host repairs what it can, so these are seen by a program that does not.
  it('closes the sessions', async () => {
    rig().set('close-sessions', 0, search, { times: 1 })
    await expect(asPinHolder(module.location, 'listObjects', {})).rejects.toThrow('CKR_SESSION_HANDLE_INVALID')
    expect(await asPinHolder(module.location, 'listObjects', {})).not.toEqual([])
  })

  it('logs out, and private objects are out of sight', async () => {
    rig()
    const all = await asPinHolder(module.location, 'listObjects', {})
    module.set('log-out', 0, search, { times: 1 })
    expect((await asPinHolder(module.location, 'listObjects', {})).length).toBeLessThan(all.length)
    expect(module.disturbed()).toBe(1)
  })
})
