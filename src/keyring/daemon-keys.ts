/** The daemon's own HBKs: one for each purpose, made by `init`, wrapped like any other, and no tenant's. */
import { randomUUID } from 'node:crypto'
import { wipe } from '../base/bytes.ts'
import { contextHash } from '../formats/aad.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import { kidOf } from '../model/key-id.ts'
import type { DaemonKey } from '../store/records.ts'
import type { Store } from '../store/store.ts'
import { createBackingKey } from './backing-keys.ts'
import { homeFor } from './key-homes.ts'
import type { ResidentParts } from './resident-keys.ts'

/**
 * - `identity` seals the secrets of access keys.
 * - `session` seals session tokens.
 * - `gate` encrypts the data key that tells our session tokens from garbage.
 */
export interface DaemonKeys {
  readonly identity: DaemonKey
  readonly session: DaemonKey
  readonly gate: DaemonKey
}

const PURPOSES = { identity: 'identity', session: 'session', gate: 'session-gate' } as const
const USAGES = { identity: 'IDENTITY', session: 'SESSION', gate: 'ENCRYPT_DECRYPT' } as const
/** No tenant: an account has 12 digits. */
const OWNER = 'strongroom'
const GATE_KEY_BYTES = 32

export const SESSION_GATE_CONTEXT: ReadonlyMap<string, string> = new Map([['strongroom', 'session-gate']])

/** The keys that a daemon needs; undefined when one of them has not been made yet. */
export async function findDaemonKeys({ reader }: Pick<Store, 'reader'>): Promise<DaemonKeys | undefined> {
  const identity = await reader.findDaemonKey(PURPOSES.identity)
  const session = await reader.findDaemonKey(PURPOSES.session)
  const gate = await reader.findDaemonKey(PURPOSES.gate)
  if (identity === undefined || session === undefined || gate?.dataKey === undefined) return undefined
  return { identity, session, gate }
}

/** Makes the keys that are missing, in the region of the pool. What is there stays. */
export async function ensureDaemonKeys(parts: ResidentParts, pool: HsmPool): Promise<DaemonKeys> {
  const { store } = parts
  const ensure = async (name: keyof DaemonKeys): Promise<DaemonKey> => {
    const known = await store.reader.findDaemonKey(PURPOSES[name])
    if (known !== undefined) return known
    const made =
      name === 'gate' ? await withDataKey(pool, await make(parts, pool, name)) : await make(parts, pool, name)
    await store.transaction(tx => tx.insertDaemonKey(made))
    return made
  }
  return { identity: await ensure('identity'), session: await ensure('session'), gate: await ensure('gate') }
}

async function make(parts: ResidentParts, pool: HsmPool, name: keyof DaemonKeys): Promise<DaemonKey> {
  const kid = kidOf(randomUUID())
  const request = { account: OWNER, kid, keySpec: 'SYMMETRIC_DEFAULT', keyUsage: USAGES[name] }
  const { ekt } = await createBackingKey(parts, pool, request, homeFor(pool, 'SYMMETRIC_DEFAULT'))
  return { purpose: PURPOSES[name], region: pool.region, kid, ekt }
}

/** The data key stays in the host: who needs it decrypts it. */
async function withDataKey(pool: HsmPool, key: DaemonKey): Promise<DaemonKey> {
  const { blob, plaintext } = await pool.call('generateDataKey', {
    ekt: key.ekt,
    lengthBytes: GATE_KEY_BYTES,
    contextHash: contextHash(SESSION_GATE_CONTEXT),
    plaintextWanted: false,
  })
  wipe(plaintext)
  return { ...key, dataKey: Buffer.from(blob) }
}
