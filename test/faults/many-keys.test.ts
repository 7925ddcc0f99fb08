/** More keys than a host keeps, used in turn: what it holds stays within its bound, and commands do not get slower. */
import { hash } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { buildFaultyModule, type FaultyModule, makeFaulty } from '../../scripts/chaos/faulty-module.ts'
import { contextHash } from '../../src/formats/aad.ts'
import { kidOf, newKeyId } from '../../src/model/key-id.ts'
import { startPool, type WatchedPool } from '../support/pools.ts'
import { makeTokenDomain, type TokenDomain } from '../support/tokens.ts'

const KEYS = 4_000
const KEPT = 200
const ROUNDS = 4
/** SoftHSM keeps 250 bytes of every object that was, and 9 KB of every one that is; V8 takes what it likes. */
const GROWTH_MAX_MB = 60

let tokens: TokenDomain
let module: FaultyModule
let watched: WatchedPool

beforeAll(async () => {
  tokens = await makeTokenDomain(['only'])
  module = makeFaulty(tokens.folder, 'only', buildFaultyModule(tokens.folder), tokens.locations[0]!)
  const configuration = tokens.configurationOf(module.location, { cachedHbks: KEPT })
  watched = startPool([{ label: 'only', configuration }], { maxCommands: KEYS })
  await watched.pool.whenReady(30_000)
})

afterAll(async () => {
  await watched?.pool.close()
  tokens?.remove()
})

it(`keeps ${KEPT} of ${KEYS} keys, and as much memory and time for a command in every round`, async () => {
  const { pool } = watched
  const request = { account: '000000000001', keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' }
  const made = Array.from({ length: KEYS }, async () => {
    const { record } = await pool.call('createBackingKey', { ...request, kid: kidOf(newKeyId()) })
    const kept = Buffer.from(record)
    return { record: kept, digest: hash('sha256', kept, 'buffer') }
  })
  const ekts = await Promise.all(made)
  const rounds: { ms: number; mb: number; objects: number }[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const startedAt = performance.now()
    for (const ekt of ekts)
      await pool.call('encrypt', { ekt, plaintext: Buffer.from('x'), contextHash: contextHash(new Map()) })
    const { residentMemoryMb, cachedHbks } = await pool.call('status', {})
    expect(cachedHbks).toBe(KEPT)
    rounds.push({ ms: performance.now() - startedAt, mb: residentMemoryMb, objects: module.objects() })
  }
  const [first, ...others] = rounds
  for (const { mb, objects } of others) {
    expect(objects).toBe(KEPT)
    expect(mb).toBeLessThan(first!.mb + GROWTH_MAX_MB)
  }
  // The quickest round tells the cost; the others tell what else the machine had to do.
  expect(Math.min(...others.slice(1).map(({ ms }) => ms))).toBeLessThan(4 * Math.min(first!.ms, others[0]!.ms))
})
