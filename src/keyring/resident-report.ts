/**
 * What tokens hold of resident HBKs, held against what the store says. An object that no record names may be left over
 * from a crash, or belong to a key that a restored database has forgotten: which of the two, only an operator knows, so
 * it is reported and never destroyed.
 */
import type { Clock } from '../base/clock.ts'
import { CKA_ID_BYTES } from '../formats/resident-key.ts'
import { RESIDENT_KEYS_PAGE } from '../hsm/contract/commands.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import type { ResidentObject } from '../store/records.ts'
import type { Store } from '../store/store.ts'

/** Longer than any creation takes: a younger row `creating` may be one in progress. */
const CREATION_MS = 300_000

/** One token; objects by their CKA_ID in hex, which begins with the key's id. */
export interface ResidentReport {
  readonly region: string
  readonly hsm: string
  readonly serial: string
  /** HBKs that stored records name. */
  readonly keys: number
  /** In the token, and named by no record. */
  readonly orphans: readonly string[]
  /** Named by a record, and not in the token: the key is lost unless a backup of the token is found. */
  readonly missing: readonly string[]
  /** Of deleted keys, still to be destroyed. */
  readonly toDestroy: readonly string[]
  /** Begun long ago and never made; rows that can be forgotten. */
  readonly unmade: readonly ResidentObject[]
}

/** Asks one token that serves. Throws what the pool throws. */
export async function reportResidents(
  { store, clock }: { store: Store; clock: Clock },
  pool: HsmPool,
  { serial, label }: { readonly serial: string; readonly label: string },
): Promise<ResidentReport> {
  // Rows are read before and after the token: what is made or destroyed meanwhile is neither missing nor an orphan.
  const before = await rowsOf(store, pool.region, serial)
  const held = await listHeld(pool, serial)
  const after = await rowsOf(store, pool.region, serial)
  const known = new Map([...before, ...after].map(row => [row.ckaId.toString('hex'), row]))
  const lasting = after.filter(row => before.some(({ ckaId, state }) => state === row.state && ckaId.equals(row.ckaId)))
  const unfinished = ({ state, createdAtMs }: ResidentObject) =>
    state === 'creating' && clock() - createdAtMs > CREATION_MS
  const absent = lasting.filter(({ ckaId }) => !held.has(ckaId.toString('hex')))
  return {
    region: pool.region,
    hsm: label,
    serial,
    keys: after.filter(({ state }) => state === 'ready').length,
    orphans: [...held].filter(ckaId => {
      const row = known.get(ckaId)
      return row === undefined || unfinished(row)
    }),
    missing: absent.filter(({ state }) => state === 'ready').map(({ ckaId }) => ckaId.toString('hex')),
    toDestroy: after.filter(({ state }) => state === 'destroying').map(({ ckaId }) => ckaId.toString('hex')),
    unmade: absent.filter(unfinished),
  }
}

async function rowsOf(store: Store, region: string, serial: string): Promise<ResidentObject[]> {
  return (await store.reader.listResidentObjects(region)).filter(row => row.serial === serial)
}

/** All CKA_IDs of the region's HBKs in a token, page by page. */
async function listHeld(pool: HsmPool, serial: string): Promise<Set<string>> {
  const held = new Set<string>()
  let after = Buffer.alloc(0)
  for (;;) {
    const page = Buffer.from((await pool.call('listResidentKeys', { after }, { serials: [serial] })).ckaIds)
    for (let at = 0; at < page.length; at += CKA_ID_BYTES) held.add(page.toString('hex', at, at + CKA_ID_BYTES))
    if (page.length < RESIDENT_KEYS_PAGE * CKA_ID_BYTES) return held
    after = page.subarray(-CKA_ID_BYTES)
  }
}
