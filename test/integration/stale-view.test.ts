/**
 * A daemon that cannot see, or could not for a while, what others change in its store: the second half of test 22 of security.md
 * 6, "store stale beyond the bound: refusal", as design.md 5 states the bound.
 */
import { renameSync } from 'node:fs'
import { Agent } from 'node:http'
import { join } from 'node:path'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { readCredentials } from '../../scripts/instance.ts'
import { VIEW_MAX_AGE_MS } from '../../src/store/view.ts'
import { type Instance, makeInstance, type Serving } from '../support/instance.ts'
import { readMetrics } from '../support/metrics.ts'
import { childrenOf, waitUntil } from '../support/processes.ts'
import { REGION } from '../support/tokens.ts'

const PATIENCE_MS = 60_000
/** Longer than a view may be old. */
const HELD_UP_MS = VIEW_MAX_AGE_MS + 1_000
const UNSEEN = { name: 'DependencyTimeoutException', message: 'The key store cannot be looked at now. Try again.' }
const STALE = 'nothing is answered while it cannot be seen whether others change the key store'
const AGAIN = 'the key store can be looked at again'

describe.each([1, 2])('test 22 of security.md 6, a stale store: a daemon of %i service processes', processes => {
  let instance: Instance
  let daemon: Serving
  let kms: KMS
  let keyId: string
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })

  beforeAll(async () => {
    instance = await makeInstance(['a'])
    instance.configure(['a'], { listen: { port: 0, processes } })
    expect(await instance.init()).toMatchObject({ code: 0 })
    daemon = await instance.serve()
    const where = { endpoint: daemon.endpoint, region: REGION, credentials: readCredentials(instance.stateDir) }
    kms = new KMS({ ...where, maxAttempts: 1, requestHandler: { httpAgent: agent } })
    keyId = (await kms.createKey({})).KeyMetadata!.KeyId!
  })

  afterAll(() => {
    kms?.destroy()
    if (daemon !== undefined) for (const pid of pids()) signal(pid, 'SIGCONT')
    instance?.remove()
  })

  const isEnabled = async () => (await kms.describeKey({ KeyId: keyId })).KeyMetadata!.Enabled
  const sentBytes = () =>
    Object.values({ ...agent.sockets, ...agent.freeSockets })
      .flat()
      .reduce((sum, socket) => sum + (socket?.bytesWritten ?? 0), 0)
  /** The daemon and its service processes. */
  const pids = () => {
    const services = childrenOf(daemon.pid).filter(({ command }) => command.includes('service.ts'))
    return [...services.map(({ pid }) => pid), daemon.pid]
  }
  const outcome = () => isEnabled().catch(({ name, message }: Error) => ({ name, message }))
  const readiness = async () => {
    const response = await fetch(`${daemon.adminEndpoint}/readyz`)
    return { status: response.status, body: await response.json() }
  }
  const viewAge = async () => (await readMetrics(daemon.adminEndpoint)).get('strongroom_store_view_age_seconds')
  const countOf = (line: string) => daemon.log().split(`"message":"${line}"`).length - 1

  it('answers the first request after it was held up from what others have changed meanwhile', async () => {
    expect(await isEnabled()).toBe(true)
    expect(pids()).toHaveLength(processes === 1 ? 1 : 1 + processes)
    let stoppedAtMs = Number.POSITIVE_INFINITY
    await instance.withSignedStore(async store => {
      const key = (await store.reader.findKey({ region: REGION, account: '000000000001' }, keyId))!
      await store.transaction(async tx => {
        // Whoever is stopped in a transaction keeps the store's lock: here nobody else has it.
        for (const pid of pids()) signal(pid, 'SIGSTOP')
        stoppedAtMs = performance.now()
        await tx.updateKey({ ...key, state: 'Disabled', generation: key.generation + 1 })
      })
    })
    const before = sentBytes()
    const answer = isEnabled()
    // The request waits for the daemon, so that it is there before any timer of the daemon is late.
    await waitUntil(() => sentBytes() > before, PATIENCE_MS)
    await waitUntil(() => performance.now() - stoppedAtMs > HELD_UP_MS, PATIENCE_MS)
    for (const pid of pids()) signal(pid, 'SIGCONT')
    expect(await answer).toBe(false)
    expect(countOf(STALE)).toBe(0)
  })

  it('refuses when it cannot see for too long what others change, says why, and goes on by itself', async () => {
    const path = join(instance.stateDir, 'strongroom.db')
    expect(await isEnabled()).toBe(false)
    renameSync(path, `${path}.away`)
    try {
      await waitUntil(async () => (await outcome()) !== false, PATIENCE_MS)
      expect(await outcome()).toEqual(UNSEEN)
      expect(await readiness()).toMatchObject({
        status: 503,
        body: { ready: false, obstacles: [expect.stringContaining(`${path} is gone`)] },
      })
      expect(await viewAge()).toBeGreaterThan(VIEW_MAX_AGE_MS / 1_000)
      // Each process has a view of its own, and says so once.
      await waitUntil(() => countOf(STALE) === pids().length, PATIENCE_MS)
    } finally {
      renameSync(`${path}.away`, path)
    }
    await waitUntil(async () => (await outcome()) === false, PATIENCE_MS)
    await waitUntil(async () => (await readiness()).status === 200, PATIENCE_MS)
    await waitUntil(() => countOf(AGAIN) === pids().length, PATIENCE_MS)
    expect(countOf(STALE)).toBe(pids().length)
  })
})

function signal(pid: number, name: 'SIGSTOP' | 'SIGCONT'): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
