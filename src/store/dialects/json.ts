/** Lists inside a row, as JSON: as SQLite spells it; PostgreSQL calls it json_agg. */
import { type RawBuilder, sql } from 'kysely'

/** The columns of the rows that belong, a list each, in a list. */
export function listInJson(
  table: string,
  columns: readonly string[],
  belongs: (table: string) => RawBuilder<boolean>,
): RawBuilder<string> {
  const values = sql.join(columns.map(column => sql.ref(`${table}.${column}`)))
  return sql<string>`(select json_group_array(json_array(${values})) from ${sql.table(table)} where ${belongs(table)})`
}
