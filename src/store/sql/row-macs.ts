/** The stored MACs of records. */
import { rowContent } from '../../formats/row-mac.ts'
import { Ledger } from '../ledger.ts'
import type { RowMac } from '../row-signer.ts'
import { primaryKeyOf, type RowName, readContent, rowNameOf } from './aggregates.ts'
import { buildOnce } from './build-once.ts'
import { bufferOf } from './outcomes.ts'
import type { Handle } from './tables.ts'

/** What a record that does not exist has. */
export const NO_CONTENT = rowContent([])

export interface StoredMac extends RowMac {
  readonly generation: number
}

/** A record as it was found, with the MAC that stands beside it. */
export interface FoundRow {
  readonly name: RowName
  readonly content: Buffer
  readonly stored: StoredMac | undefined
  /** Of the same moment, with what is needed to know whether it lists the record. */
  readonly ledger: Ledger
}

/** The place of a record in the order of all MACs. */
export interface MacPlace {
  readonly table: string
  readonly primaryKey: string
}

/** `db` is a transaction, and `ledger` is read in the same one. */
export async function findRow(db: Handle, name: RowName, ledger: Ledger): Promise<FoundRow> {
  const named = { table: name.table, primaryKey: primaryKeyOf(name) }
  const stored = await findMac(db, named.table, named.primaryKey)
  if (stored !== undefined) await ledger.load(stored.region, named)
  return { name, content: await readContent(db, name), stored, ledger }
}

/** Records of one moment: `db` is a transaction. */
export async function findRows(db: Handle, names: readonly RowName[]): Promise<FoundRow[]> {
  const ledger = new Ledger(db)
  const rows: FoundRow[] = []
  for (const name of names) rows.push(await findRow(db, name, ledger))
  return rows
}

export async function findMac(db: Handle, table: string, primaryKey: string): Promise<StoredMac | undefined> {
  const [row] = await selectMac(db, table, primaryKey)
  if (row === undefined) return undefined
  return { generation: row.generation, region: row.region, macVersion: row.mac_version, mac: bufferOf(row.mac) }
}

const selectMac = buildOnce((db, table: string, primaryKey: string) =>
  db
    .selectFrom('row_macs')
    .select(['generation', 'region', 'mac_version', 'mac'])
    .where('table_name', '=', table)
    .where('primary_key', '=', primaryKey),
)

export async function putMac(db: Handle, table: string, primaryKey: string, mac: StoredMac): Promise<void> {
  const values = { generation: mac.generation, region: mac.region, mac_version: mac.macVersion, mac: mac.mac }
  await db
    .insertInto('row_macs')
    .values({ table_name: table, primary_key: primaryKey, ...values })
    .onConflict(conflict => conflict.columns(['table_name', 'primary_key']).doUpdateSet(values))
    .execute()
}

export async function deleteMac(db: Handle, table: string, primaryKey: string): Promise<void> {
  await db.deleteFrom('row_macs').where('table_name', '=', table).where('primary_key', '=', primaryKey).execute()
}

/** Places of MACs by table and primary key, `after` excluded. */
export async function listMacs(db: Handle, after: MacPlace | undefined, limit: number): Promise<MacPlace[]> {
  const rows = await db
    .selectFrom('row_macs')
    .select(['table_name', 'primary_key'])
    // As one comparison of rows, so that the index leads to the first of them.
    .$if(after !== undefined, query =>
      query.where(({ eb, refTuple, tuple }) =>
        eb(refTuple('table_name', 'primary_key'), '>', tuple(after!.table, after!.primaryKey)),
      ),
    )
    .orderBy('table_name')
    .orderBy('primary_key')
    .limit(limit)
    .execute()
  return rows.map(row => ({ table: row.table_name, primaryKey: row.primary_key }))
}

export async function countMacs(db: Handle, region?: string): Promise<number> {
  const { count } = await db
    .selectFrom('row_macs')
    .select(({ fn }) => fn.countAll().as('count'))
    .$if(region !== undefined, query => query.where('region', '=', region!))
    .executeTakeFirstOrThrow()
  return Number(count)
}

/** MACs that the domain of a region made under a version below this one. */
export async function listMacsBelow(db: Handle, region: string, version: number, limit: number): Promise<MacPlace[]> {
  const rows = await below(db, region, version).select(['table_name', 'primary_key']).limit(limit).execute()
  return rows.map(row => ({ table: row.table_name, primaryKey: row.primary_key }))
}

export async function countMacsBelow(db: Handle, region: string, version: number): Promise<number> {
  const { count } = await below(db, region, version)
    .select(({ fn }) => fn.countAll().as('count'))
    .executeTakeFirstOrThrow()
  const { heads } = await db
    .selectFrom('ledger_heads')
    .select(({ fn }) => fn.countAll().as('heads'))
    .where('region', '=', region)
    .where('mac_version', '<', version)
    .executeTakeFirstOrThrow()
  return Number(count) + Number(heads)
}

function below(db: Handle, region: string, version: number) {
  return db.selectFrom('row_macs').where('region', '=', region).where('mac_version', '<', version)
}

/** The records that MACs stand for, of one moment; without those that name none of ours. */
export function findRowsAt(db: Handle, places: readonly MacPlace[]): Promise<FoundRow[]> {
  return findRows(
    db,
    places.flatMap(({ table, primaryKey }) => rowNameOf(table, primaryKey) ?? []),
  )
}
