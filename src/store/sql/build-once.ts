/**
 * Queries built once. Kysely takes several times longer to build a query than SQLite to answer it, so the reads on the
 * road of a request are built by the first caller and only given other values by the next.
 */
import assert from 'node:assert/strict'
import type { CompiledQuery } from 'kysely'
import type { Handle } from './tables.ts'

interface Buildable<Row> {
  compile(): CompiledQuery<Row>
}

/** `build` must use each of its values once, in their order, and must build the same query whatever they are. */
export function buildOnce<Values extends readonly (string | number)[], Row>(
  build: (db: Handle, ...values: Values) => Buildable<Row>,
): (db: Handle, ...values: Values) => Promise<Row[]> {
  // The adapter stands for the database: all transactions of one handle share it.
  const built = new WeakMap<object, CompiledQuery<Row>>()
  return async (db, ...values) => {
    const { adapter } = db.getExecutor()
    let query = built.get(adapter)
    if (query === undefined) {
      query = build(db, ...values).compile()
      assert.deepEqual(query.parameters, values, 'a query must use its values in their order')
      built.set(adapter, query)
    }
    const { rows } = await db.executeQuery<Row>({ ...query, parameters: values })
    return rows
  }
}
