/**
 * Records as their MACs cover them: a row with the rows of other tables that decide with it. A key is not the same key with
 * another grant, nor an identity the same with another access key, so what is put back or taken away shows.
 */
import { sql } from 'kysely'
import { type RowValues, rowContent } from '../../formats/row-mac.ts'
import { buildOnce } from './build-once.ts'
import type { Handle } from './tables.ts'

interface Part {
  readonly table: string
  /** The columns that hold the primary key of the record; none where the whole table belongs to the one record there is. */
  readonly columns: readonly string[]
}

/** The row itself first. */
const PARTS = {
  domains: [
    { table: 'domains', columns: ['region'] },
    { table: 'domain_key_versions', columns: ['region'] },
    { table: 'domain_tokens', columns: ['region'] },
    { table: 'domain_token_versions', columns: ['region'] },
  ],
  accounts: [{ table: 'accounts', columns: ['id'] }],
  identities: [
    { table: 'identities', columns: ['principal_id'] },
    { table: 'identity_policies', columns: ['principal_id'] },
    { table: 'attached_policies', columns: ['principal_id'] },
    { table: 'group_members', columns: ['principal_id'] },
    { table: 'identity_tags', columns: ['principal_id'] },
    { table: 'access_keys', columns: ['principal_id'] },
  ],
  managed_policies: [
    { table: 'managed_policies', columns: ['id'] },
    { table: 'managed_policy_versions', columns: ['policy_id'] },
  ],
  access_keys: [{ table: 'access_keys', columns: ['id'] }],
  daemon_keys: [{ table: 'daemon_keys', columns: ['purpose'] }],
  keys: [
    { table: 'keys', columns: ['region', 'account', 'id'] },
    { table: 'materials', columns: ['region', 'account', 'key_id'] },
    { table: 'aliases', columns: ['region', 'account', 'key_id'] },
    { table: 'tags', columns: ['region', 'account', 'key_id'] },
    { table: 'grants', columns: ['region', 'account', 'key_id'] },
  ],
  aliases: [{ table: 'aliases', columns: ['region', 'account', 'name'] }],
  dual_control: [
    { table: 'dual_control', columns: ['id'] },
    { table: 'officers', columns: [] },
  ],
  approval_requests: [
    { table: 'approval_requests', columns: ['id'] },
    { table: 'approvals', columns: ['request_id'] },
  ],
} as const satisfies Record<string, readonly [Part, ...Part[]]>

export type AggregateTable = keyof typeof PARTS
export const AGGREGATE_TABLES = Object.keys(PARTS) as AggregateTable[]

/** Which record. */
export interface RowName {
  readonly table: AggregateTable
  readonly key: readonly string[]
}

export const rowName = (table: AggregateTable, ...key: readonly string[]): RowName => ({ table, key })

/** As a MAC names it: the last column alone may hold a slash. */
export function primaryKeyOf({ key }: RowName): string {
  return key.join('/')
}

/** Tells one record from all others. */
export function textOf(name: RowName): string {
  return `${name.table} ${primaryKeyOf(name)}`
}

/** The opposite of {@link primaryKeyOf}; undefined for a name that no record can have. */
export function rowNameOf(table: string, primaryKey: string): RowName | undefined {
  const known = AGGREGATE_TABLES.find(each => each === table)
  if (known === undefined) return undefined
  const columns = PARTS[known][0].columns.length
  const parts = primaryKey.split('/')
  if (parts.length < columns) return undefined
  return { table: known, key: [...parts.slice(0, columns - 1), parts.slice(columns - 1).join('/')] }
}

/**
 * Whose domain signs it; undefined for what belongs to no region. The row of a domain is signed with those: while the domain is
 * being made, it cannot sign.
 */
export function regionOf({ table, key }: RowName): string | undefined {
  return table === 'keys' || table === 'aliases' ? key[0] : undefined
}

/**
 * Whether no MAC is kept of a record that was deleted. The name of an alias goes with it: one that is put back shows in the
 * key that it names.
 */
export function isForgotten({ table }: RowName): boolean {
  return table === 'aliases'
}

/** The rows of each part; they are read with every change, and with every record that memory does not hold. */
const READS = new Map(
  Object.entries<readonly Part[]>(PARTS).map(([table, parts]) => [
    table,
    parts.map(part => [part.table, readOf(part)]),
  ]),
) as ReadonlyMap<string, readonly (readonly [table: string, read: PartRead])[]>

type PartRead = (db: Handle, ...key: readonly string[]) => Promise<RowValues[]>

function readOf({ table, columns }: Part): PartRead {
  const read = buildOnce((db, ...key: readonly string[]) => {
    const anyTable = db.withTables<Record<string, Record<string, string>>>()
    let query = anyTable.selectFrom(table).selectAll()
    for (const [at, column] of columns.entries()) query = query.where(column, '=', key[at] ?? '')
    return query
  })
  return (db, ...key) => read(db, ...key.slice(0, columns.length))
}

/** What the MAC covers, as the handle sees it. */
export async function readContent(db: Handle, { table, key }: RowName): Promise<Buffer> {
  const rows: { table: string; values: RowValues }[] = []
  for (const [part, read] of READS.get(table) ?? [])
    for (const values of await read(db, ...key)) rows.push({ table: part, values })
  return rowContent(rows)
}

/** The names of records of a table that have no MAC, as far as `limit`. */
export async function listUnsigned(db: Handle, table: AggregateTable, limit: number): Promise<RowName[]> {
  const { columns } = PARTS[table][0]
  const primaryKey = sql.join(
    columns.map(column => sql.ref(`${table}.${column}`)),
    sql` || '/' || `,
  )
  const query = sql<Record<string, string>>`
    select ${sql.join(columns.map(column => sql.ref(column)))} from ${sql.table(table)}
    where not exists (select 1 from row_macs where table_name = ${table} and primary_key = ${primaryKey}) limit ${limit}
  `
  return (await query.execute(db)).rows.map(row => ({ table, key: columns.map(column => row[column] ?? '') }))
}

/** The names of all records of a table. */
export async function listRowNames(db: Handle, table: AggregateTable): Promise<RowName[]> {
  const { columns } = PARTS[table][0]
  const query = sql<
    Record<string, string>
  >`select ${sql.join(columns.map(column => sql.ref(column)))} from ${sql.table(table)}`
  return (await query.execute(db)).rows.map(row => ({ table, key: columns.map(column => row[column] ?? '') }))
}
