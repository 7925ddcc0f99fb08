/** Commands that were in hand when their host ended: they are tried one at a time, and none is in the way of itself. */
import { hash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { contextHash } from '../../src/formats/aad.ts'
import { decodeEkt, encodeEkt } from '../../src/formats/ekt.ts'
import type { EktReference } from '../../src/hsm/contract/fields.ts'
import type { HsmPool, PoolSettings } from '../../src/hsm/pool/pool.ts'
import { kidOf, newKeyId } from '../../src/model/key-id.ts'
import { startPool, type WatchedPool } from '../support/pools.ts'
import { waitUntil } from '../support/processes.ts'
import { makeTokenDomain, type TokenDomain } from '../support/tokens.ts'

const PATIENCE_MS = 60_000
/** No host is found to be mute, and none is asked for its known answer while it is stopped. */
const UNDISTURBED = { deadlineFloorMs: 10 * PATIENCE_MS, healthIntervalMs: 10 * PATIENCE_MS }
const NO_CONTEXT = contextHash(new Map())

jest.setTimeout(3 * PATIENCE_MS)

let tokens: TokenDomain
const started: WatchedPool[] = []
const stopped = new Set<number>()

beforeAll(async () => {
  tokens = await makeTokenDomain(['one', 'other'])
})

afterEach(async () => {
  for (const pid of stopped) goOn(pid)
  await Promise.all(started.splice(0).map(({ pool }) => pool.close()))
})

afterAll(() => tokens?.remove())

function stop(pid: number): void {
  process.kill(pid, 'SIGSTOP')
  stopped.add(pid)
}

function goOn(pid: number): void {
  process.kill(pid, 'SIGCONT')
  stopped.delete(pid)
}

function kill(pid: number): void {
  process.kill(pid, 'SIGKILL')
  stopped.delete(pid)
}

/** Two tokens with a host each, which are stopped once they have nothing in hand. */
async function startStopped(settings: Partial<PoolSettings> = {}): Promise<{ pool: HsmPool; ekt: EktReference }> {
  const hosts = tokens.locations.map((location, at) => ({
    label: `${at}`,
    configuration: tokens.configurationOf(location),
  }))
  const watched = startPool(hosts, { ...UNDISTURBED, ...settings })
  started.push(watched)
  const { pool } = watched
  await pool.whenReady(PATIENCE_MS)
  const request = { account: '000000000001', keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' }
  const { record } = await pool.call('createBackingKey', { ...request, kid: kidOf(newKeyId()) })
  await waitUntil(() => pool.members.every(({ inFlight }) => inFlight === 0), PATIENCE_MS)
  for (const { pids } of pool.members) stop(pids[0]!)
  return { pool, ekt: { record: Buffer.from(record), digest: hash('sha256', record, 'buffer') } }
}

/** The member that was given the only command, and the other. */
function holderFirst({ members }: HsmPool) {
  return members.toSorted((a, b) => b.inFlight - a.inFlight) as [HsmPool['members'][0], HsmPool['members'][0]]
}

function seal(pool: HsmPool, ekt: EktReference): Promise<{ readonly blob: Uint8Array }> {
  return pool.call('encrypt', { ekt, plaintext: Buffer.from('x'), contextHash: NO_CONTEXT })
}

describe('a command that was in hand when its host ended', () => {
  it('is answered by a token with room when it waits behind a command that takes long', async () => {
    const { pool, ekt } = await startStopped()
    const suspect = seal(pool, ekt)
    const [holder, busy] = holderFirst(pool)
    const long = pool.call('generateRandom', { lengthBytes: 8 }, { serials: [busy.profile!.serial] })
    expect(pool.members.map(({ inFlight }) => inFlight)).toEqual([1, 1])
    const [busyHost] = busy.pids
    kill(holder.pids[0]!)
    await waitUntil(() => busy.inFlight === 2, PATIENCE_MS)
    expect((await suspect).blob.length).toBeGreaterThan(0)
    expect(busy.inFlight).toBe(2)
    goOn(busyHost!)
    expect((await long).random).toHaveLength(8)
  })

  it('keeps no other one waiting while the row of the domain is read for it', async () => {
    const read = Promise.withResolvers<void>()
    const asked = Promise.withResolvers<void>()
    const { pool, ekt } = await startStopped({
      onStaleDomain() {
        asked.resolve()
        return read.promise
      },
    })
    const { fields, mac } = decodeEkt(ekt.record)
    const record = encodeEkt({ ...fields, macVersion: 2 }, mac)
    const strange = seal(pool, { record, digest: hash('sha256', record, 'buffer') })
    const refused = expect(strange).rejects.toMatchObject({ kind: 'key' })
    const [holder, other] = holderFirst(pool)
    const sealed: ReturnType<typeof seal>[] = []
    while (holder.inFlight < 2) sealed.push(seal(pool, ekt))
    goOn(other.pids[0]!)
    kill(holder.pids[0]!)
    await asked.promise
    expect(await Promise.all(sealed)).toHaveLength(sealed.length)
    read.resolve()
    await refused
  })
})
