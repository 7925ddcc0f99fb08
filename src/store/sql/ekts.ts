/**
 * EKT records of every table that holds any, by the domain key version that they are under: what a rotation sweeps. A table
 * has the columns `region`, `ekt` and `dk_version`, and joins the list below. Whose domain a record is under: its region's,
 * unless the column `domain` of a table that has one names another.
 */
import { type RawBuilder, sql } from 'kysely'
import { MULTI_REGION_DOMAIN } from '../../base/region.ts'
import { dkVersionOf } from '../../formats/ekt.ts'
import type { KeySpec } from '../../model/key-specs.ts'
import { VersionSwept } from '../faults.ts'
import type { Scope, StoredEkt } from '../store.ts'
import { bufferOf } from './outcomes.ts'
import type { Handle } from './tables.ts'

interface EktTable {
  readonly name: string
  /** Its primary key, `region` first where it begins with it. */
  readonly primaryKey: readonly string[]
  /** Whether it has the column `domain`. */
  readonly namesDomain?: true
}

const TABLES: readonly EktTable[] = [
  { name: 'materials', primaryKey: ['region', 'account', 'key_id', 'id'], namesDomain: true },
  { name: 'daemon_keys', primaryKey: ['purpose'] },
  { name: 'import_keys', primaryKey: ['region', 'account', 'key_id', 'import_id'] },
]

type Row = Readonly<Record<string, string | Uint8Array>> & { readonly ekt: Uint8Array }

/** By table and primary key, `after` excluded. */
export function listEkts(
  db: Handle,
  domain: string,
  dkVersion: number,
  after: StoredEkt | undefined,
  limit: number,
): Promise<StoredEkt[]> {
  return listWhere(db, table => sql`${underDomain(table, domain)} and dk_version = ${dkVersion}`, after, limit)
}

/** Of keys of these specs, whichever version they are under; none of what belongs to no key, or is no material of it. */
export function listEktsOfSpecs(
  db: Handle,
  domain: string,
  specs: readonly KeySpec[],
  after: StoredEkt | undefined,
  limit: number,
): Promise<StoredEkt[]> {
  const ofSpecs = sql`(region, account, key_id) in (select region, account, id from keys where spec in (${sql.join(specs)}))`
  return listWhere(
    db,
    table =>
      table.name === 'materials' ? sql`${underDomain(table, domain)} and length(ekt) > 0 and ${ofSpecs}` : sql`false`,
    after,
    limit,
  )
}

/** All of them; imported material that is away has none. */
export function listAllEkts(db: Handle, after: StoredEkt | undefined, limit: number): Promise<StoredEkt[]> {
  return listWhere(db, () => sql`length(ekt) > 0`, after, limit)
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
  conditionOn: (table: EktTable) => RawBuilder<unknown>,
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
      where ${conditionOn(table)} ${beyond}
      order by ${columns} limit ${limit - found.length}
    `.execute(db)
    found.push(...rows.map(row => storedEkt(table, row)))
    if (found.length === limit) break
  }
  return found
}

export async function countEkts(db: Handle, domain: string, dkVersion: number): Promise<number> {
  let sum = 0
  for (const table of TABLES) {
    const { rows } = await sql<{ count: number }>`
      select count(*) as count from ${sql.table(table.name)}
      where ${underDomain(table, domain)} and dk_version = ${dkVersion}
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

/** Records of this domain alone: a rotation of one leaves those of the other as they are. */
function underDomain({ namesDomain }: EktTable, domain: string): RawBuilder<unknown> {
  if (namesDomain === undefined) return sql`region = ${domain}`
  return domain === MULTI_REGION_DOMAIN ? sql`domain = ${domain}` : sql`region = ${domain} and domain is null`
}

/** Whose record an EKT is part of: a KMS key's, which is then stale in memory, a key's of the daemon itself, or none. */
export function ownerOf({
  table,
  primaryKey,
}: StoredEkt): (Scope & { keyId: string }) | { purpose: string } | undefined {
  const [first = '', account = '', keyId = ''] = primaryKey.map(String)
  if (table === 'materials') return { region: first, account, keyId }
  return table === 'daemon_keys' ? { purpose: first } : undefined
}

/**
 * Nothing is added under a version that has been swept: an EKT that was made before the barrier may come here long after it.
 * A version that the domain does not know is the host's to refuse. Throws {@link VersionSwept}.
 */
export async function requireWritableVersion(db: Handle, domain: string, dkVersion: number): Promise<void> {
  const version = await db
    .selectFrom('domain_key_versions')
    .select(['state', 'swept_at_ms'])
    .where('region', '=', domain)
    .where('kind', '=', 'dk')
    .where('version', '=', dkVersion)
    .executeTakeFirst()
  if (version === undefined || (version.state === 'active' && version.swept_at_ms === null)) return
  throw new VersionSwept(`domain key ${dkVersion} of ${domain} has been rotated: nothing is added under it`)
}

function storedEkt({ name, primaryKey }: EktTable, row: Row): StoredEkt {
  const values = primaryKey.map(column => {
    const value = row[column] ?? ''
    return typeof value === 'string' ? value : bufferOf(value)
  })
  const shown = values.map(value => (typeof value === 'string' ? value : value.toString('hex')))
  return { table: name, primaryKey: values, name: `${name} ${shown.join('/')}`, record: bufferOf(row.ekt) }
}
