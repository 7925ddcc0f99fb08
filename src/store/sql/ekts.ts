/**
 * EKT records of every table that holds any, by the domain key version that they are under: what a rotation sweeps. A table
 * has the columns `region`, `ekt` and `dk_version`, and joins the list below.
 */
import { type RawBuilder, sql } from 'kysely'
import { dkVersionOf } from '../../formats/ekt.ts'
import { VersionSwept } from '../faults.ts'
import type { Scope, StoredEkt } from '../store.ts'
import { bufferOf } from './outcomes.ts'
import type { Handle } from './tables.ts'

interface EktTable {
  readonly name: string
  /** Its primary key, `region` first where it begins with it. */
  readonly primaryKey: readonly string[]
}

const TABLES: readonly EktTable[] = [
  { name: 'materials', primaryKey: ['region', 'account', 'key_id', 'id'] },
  { name: 'daemon_keys', primaryKey: ['purpose'] },
]

type Row = Readonly<Record<string, string | number>> & { readonly ekt: Uint8Array }

/** By table and primary key, `after` excluded. */
export function listEkts(
  db: Handle,
  region: string,
  dkVersion: number,
  after: StoredEkt | undefined,
  limit: number,
): Promise<StoredEkt[]> {
  return listWhere(db, sql`region = ${region} and dk_version = ${dkVersion}`, after, limit)
}

/** All of them; imported material that is away has none. */
export function listAllEkts(db: Handle, after: StoredEkt | undefined, limit: number): Promise<StoredEkt[]> {
  return listWhere(db, sql`length(ekt) > 0`, after, limit)
}

export async function countAllEkts(db: Handle): Promise<number> {
  let sum = 0
  for (const { name } of TABLES) {
    const { rows } = await sql<{ count: number }>`
      select count(*) as count from ${sql.table(name)} where length(ekt) > 0
    `.execute(db)
    sum += Number(rows[0]?.count)
  }
  return sum
}

async function listWhere(
  db: Handle,
  condition: RawBuilder<unknown>,
  after: StoredEkt | undefined,
  limit: number,
): Promise<StoredEkt[]> {
  const found: StoredEkt[] = []
  const first = TABLES.findIndex(({ name }) => name === after?.table)
  for (const table of TABLES.slice(Math.max(first, 0))) {
    const { name, primaryKey } = table
    const columns = sql.join(primaryKey.map(column => sql.ref(column)))
    const beyond =
      after?.table === name
        ? sql`and (${columns}) > (${sql.join(after.primaryKey.map(value => sql.val(value)))})`
        : sql``
    const { rows } = await sql<Row>`
      select ${columns}, ekt from ${sql.table(name)}
      where ${condition} ${beyond}
      order by ${columns} limit ${limit - found.length}
    `.execute(db)
    found.push(...rows.map(row => storedEkt(table, row)))
    if (found.length === limit) break
  }
  return found
}

export async function countEkts(db: Handle, region: string, dkVersion: number): Promise<number> {
  let sum = 0
  for (const { name } of TABLES) {
    const { rows } = await sql<{ count: number }>`
      select count(*) as count from ${sql.table(name)} where region = ${region} and dk_version = ${dkVersion}
    `.execute(db)
    sum += Number(rows[0]?.count)
  }
  return sum
}

/** Compares the whole record, MAC included: whatever has replaced it meanwhile stays. */
export async function replaceEkt(db: Handle, old: StoredEkt, record: Buffer): Promise<boolean> {
  const table = TABLES.find(({ name }) => name === old.table)
  if (table === undefined) throw new RangeError(`no table ${old.table} holds EKT records`)
  const conditions = table.primaryKey.map((column, at) => sql`${sql.ref(column)} = ${old.primaryKey[at]}`)
  const { numAffectedRows } = await sql`
    update ${sql.table(table.name)} set ekt = ${record}, dk_version = ${dkVersionOf(record)}
    where ${sql.join(conditions, sql` and `)} and ekt = ${old.record}
  `.execute(db)
  return numAffectedRows === 1n
}

/** The KMS key whose record in memory a changed EKT makes stale. */
export function keyTouchedBy({ table, primaryKey }: StoredEkt): (Scope & { keyId: string }) | undefined {
  if (table !== 'materials') return undefined
  const [region, account, keyId] = primaryKey.map(String)
  return { region: region ?? '', account: account ?? '', keyId: keyId ?? '' }
}

/**
 * Nothing is added under a version that has been swept: an EKT that was made before the barrier may come here long after it.
 * A version that the domain does not know is the host's to refuse. Throws {@link VersionSwept}.
 */
export async function requireWritableVersion(db: Handle, region: string, dkVersion: number): Promise<void> {
  const version = await db
    .selectFrom('domain_key_versions')
    .select(['state', 'swept_at_ms'])
    .where('region', '=', region)
    .where('kind', '=', 'dk')
    .where('version', '=', dkVersion)
    .executeTakeFirst()
  if (version === undefined || (version.state === 'active' && version.swept_at_ms === null)) return
  throw new VersionSwept(`domain key ${dkVersion} of ${region} has been rotated: nothing is added under it`)
}

function storedEkt({ name, primaryKey }: EktTable, row: Row): StoredEkt {
  const values = primaryKey.map(column => row[column] ?? '')
  return { table: name, primaryKey: values, name: `${name} ${values.join('/')}`, record: bufferOf(row.ekt) }
}
