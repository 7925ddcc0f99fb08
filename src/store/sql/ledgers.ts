/** The rows of the ledgers: a head for each region, and the branches and buckets that are not empty. */
import { LEAF_BYTES } from '../../formats/row-ledger.ts'
import { buildOnce } from './build-once.ts'
import { bufferOf } from './outcomes.ts'
import type { Handle } from './tables.ts'

/** The signed end of a region's ledger. */
export interface LedgerHead {
  readonly epoch: number
  /** The hashes of the branches, one after the other. */
  readonly branches: Buffer
  readonly macVersion: number
  readonly mac: Buffer
}

const selectHead = buildOnce((db, region: string) =>
  db.selectFrom('ledger_heads').select(['epoch', 'branches', 'mac_version', 'mac']).where('region', '=', region),
)

const selectBranch = buildOnce((db, region: string, branch: number) =>
  db.selectFrom('ledger_branches').select('buckets').where('region', '=', region).where('branch', '=', branch),
)

const selectBucket = buildOnce((db, region: string, bucket: number) =>
  db.selectFrom('ledger_buckets').select('leaves').where('region', '=', region).where('bucket', '=', bucket),
)

export async function findHead(db: Handle, region: string): Promise<LedgerHead | undefined> {
  const [row] = await selectHead(db, region)
  if (row === undefined) return undefined
  return { epoch: row.epoch, branches: bufferOf(row.branches), macVersion: row.mac_version, mac: bufferOf(row.mac) }
}

/** Regions whose domain has signed records. */
export async function listLedgerRegions(db: Handle): Promise<string[]> {
  const rows = await db.selectFrom('ledger_heads').select('region').orderBy('region').execute()
  return rows.map(({ region }) => region)
}

/** The hashes of a branch's buckets, one after the other. */
export async function findBranch(db: Handle, region: string, branch: number): Promise<Buffer | undefined> {
  const [row] = await selectBranch(db, region, branch)
  return row && bufferOf(row.buckets)
}

/** The leaves of a bucket, one after the other. */
export async function findBucket(db: Handle, region: string, bucket: number): Promise<Buffer | undefined> {
  const [row] = await selectBucket(db, region, bucket)
  return row && bufferOf(row.leaves)
}

export async function putHead(db: Handle, region: string, head: LedgerHead): Promise<void> {
  const { epoch, branches, macVersion, mac } = head
  const values = { epoch, branches, mac_version: macVersion, mac }
  await db
    .insertInto('ledger_heads')
    .values({ region, ...values })
    .onConflict(conflict => conflict.column('region').doUpdateSet(values))
    .execute()
}

export async function putBranch(db: Handle, region: string, branch: number, buckets: Buffer): Promise<void> {
  await db
    .insertInto('ledger_branches')
    .values({ region, branch, buckets })
    .onConflict(conflict => conflict.columns(['region', 'branch']).doUpdateSet({ buckets }))
    .execute()
}

export async function putBucket(db: Handle, region: string, bucket: number, leaves: Buffer): Promise<void> {
  await db
    .insertInto('ledger_buckets')
    .values({ region, bucket, leaves })
    .onConflict(conflict => conflict.columns(['region', 'bucket']).doUpdateSet({ leaves }))
    .execute()
}

/** Records that the ledger of a region lists. */
export async function countLeaves(db: Handle, region: string): Promise<number> {
  const { bytes } = await db
    .selectFrom('ledger_buckets')
    .select(({ fn }) => fn.sum<number | null>(fn<number>('length', ['leaves'])).as('bytes'))
    .where('region', '=', region)
    .executeTakeFirstOrThrow()
  return Number(bytes ?? 0) / LEAF_BYTES
}
