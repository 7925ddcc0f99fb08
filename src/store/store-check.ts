/**
 * The look at everything that a store holds: the file, every record against its MAC and the ledger, what is there and not
 * signed, what the ledger lists and is not there, deleted keys that are there again, counts of keys, and the form of every EKT record.
 */
import { MalformedBytes } from '../base/bytes.ts'
import { decodeEkt } from '../formats/ekt.ts'
import { kidOf } from '../model/key-id.ts'
import type { Database } from './dialects/database.ts'
import type { RowGuard } from './row-guard.ts'
import { ALL_ROWS } from './row-guard.ts'
import { AGGREGATE_TABLES, listUnsigned, primaryKeyOf, rowNameOf } from './sql/aggregates.ts'
import { countAllEkts, listAllEkts, ownerOf } from './sql/ekts.ts'
import { listMiscounts } from './sql/key-counts.ts'
import { countLeaves, listLedgerRegions } from './sql/ledgers.ts'
import { countMacs, findRowsAt, listMacs } from './sql/row-macs.ts'
import type { Handle } from './sql/tables.ts'
import { listTombstones, listUnsignedTombstones, undeadAmong } from './sql/tombstones.ts'
import type { CheckFinding, CheckStep, RowPlace, StoredEkt } from './store.ts'

/** Records of one command, and of one moment. */
const BATCH = 64
/** Of one kind. */
const FINDINGS_MAX = 1_000

/** Yields after every batch. Throws StoreRolledBack, and what the signer throws when it cannot tell. */
export async function* checkStore(database: Database, guard: RowGuard): AsyncGenerator<CheckStep> {
  const { reader } = database
  const total = (await countMacs(reader)) + (await countAllEkts(reader))
  let done = 0
  // SQLite's own look at the file takes its time.
  yield { done, total, found: [] }
  yield { done, total, found: [...database.damages(), ...(await findUnsigned(reader, guard))] }
  for (let after: RowPlace | undefined; ; ) {
    const { places, found } = await checkMacs(database, guard, after)
    done += places.length
    yield { done, total: Math.max(done, total), found }
    after = places.at(-1)
    if (after === undefined) break
  }
  for (let after: StoredEkt | undefined; ; ) {
    const ekts = await listAllEkts(reader, after, BATCH)
    done += ekts.length
    yield { done, total: Math.max(done, total), found: ekts.flatMap(ekt => faultOf(ekt) ?? []) }
    after = ekts.at(-1)
    if (after === undefined) break
  }
  yield {
    done,
    total: done,
    found: [...(await findMissing(database)), ...(await findUndead(reader)), ...(await findMiscounted(reader))],
  }
}

async function checkMacs(
  database: Database,
  guard: RowGuard,
  after: RowPlace | undefined,
): Promise<{ places: RowPlace[]; found: CheckFinding[] }> {
  const horizon = guard.horizon()
  const { places, rows } = await database.snapshots.transaction().execute(async db => {
    const listed = await listMacs(db, after, BATCH)
    return { places: listed, rows: await findRowsAt(db, listed) }
  })
  const refusals = await guard.refusals(rows, horizon, false)
  const strange = places.filter(
    place => place.table !== ALL_ROWS.table && rowNameOf(place.table, place.primaryKey) === undefined,
  )
  return {
    places,
    found: [
      ...refusals.map(({ table, primaryKey, reason }) => ({ table, primaryKey, reason })),
      ...strange.map(place => ({ ...place, reason: 'its MAC stands for no record that can be' })),
    ],
  }
}

/** In a store that an older version has signed, what carried no MAC then may be without one. */
async function findUnsigned(db: Handle, guard: RowGuard): Promise<CheckFinding[]> {
  const exempt = (await guard.isComplete(db)) ? await guard.tablesToSign(db) : []
  const found: CheckFinding[] = []
  for (const table of AGGREGATE_TABLES.filter(each => !exempt.includes(each)))
    for (const name of await listUnsigned(db, table, FINDINGS_MAX))
      found.push({ table, primaryKey: primaryKeyOf(name), reason: 'it has no MAC' })
  return found
}

/** A MAC that was removed with its record is named by nothing; that one is missing shows in the count. */
async function findMissing({ snapshots }: Database): Promise<CheckFinding[]> {
  return snapshots.transaction().execute(async db => {
    const found: CheckFinding[] = []
    for (const region of await listLedgerRegions(db)) {
      const [leaves, macs] = [await countLeaves(db, region), await countMacs(db, region)]
      if (leaves === macs) continue
      const reason = `it lists ${leaves} records, and ${macs} are there with a MAC: some were removed or added by hand`
      found.push({ table: 'ledger_heads', primaryKey: region, reason })
    }
    return found
  })
}

async function findUndead(db: Handle): Promise<CheckFinding[]> {
  const of = (reason: string) => (primaryKey: string) => ({ table: 'keys', primaryKey, reason })
  const undead: string[] = []
  for (let after = ''; undead.length < FINDINGS_MAX; ) {
    const tombstones = await listTombstones(db, after, BATCH)
    undead.push(...(await undeadAmong(db, tombstones)))
    after = tombstones.at(-1) ?? ''
    if (tombstones.length < BATCH) break
  }
  return [
    ...undead.map(of('it was deleted, and is there again')),
    ...(await listUnsignedTombstones(db, FINDINGS_MAX)).map(of('it was deleted, and no MAC says so')),
  ]
}

/** One statement, so that no key comes or goes in between. */
async function findMiscounted(db: Handle): Promise<CheckFinding[]> {
  return (await listMiscounts(db, FINDINGS_MAX)).map(({ region, account, counted, there }) => ({
    ...{ table: 'key_counts', primaryKey: `${region}/${account}` },
    reason: `it counts ${counted} keys for the account's quota, and ${there} are there`,
  }))
}

/** What is wrong with the form of an EKT record. Whether a token opens it, and its MAC, only use tells. */
function faultOf(ekt: StoredEkt): CheckFinding | undefined {
  const finding = (reason: string) => ({ table: ekt.table, primaryKey: ekt.name.slice(ekt.table.length + 1), reason })
  try {
    const { fields } = decodeEkt(ekt.record)
    const owner = ownerOf(ekt)
    if (owner === undefined || !('keyId' in owner)) return undefined
    if (!fields.kid.equals(kidOf(owner.keyId)) || fields.account !== owner.account)
      return finding('its EKT record is that of another key')
    return undefined
  } catch (error) {
    if (error instanceof MalformedBytes || error instanceof RangeError) return finding('its EKT record is malformed')
    throw error
  }
}
