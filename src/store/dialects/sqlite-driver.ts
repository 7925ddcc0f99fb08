/** Kysely's SQLite dialect over node:sqlite: prepared statements are kept, and transactions take the write lock first. */

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  CompiledQuery,
  type DatabaseConnection,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  type SqliteStatement,
} from 'kysely'
import { LRUCache } from 'lru-cache'
import { StoreLocked } from '../faults.ts'

/** More than the queries of this program; lists of different lengths give texts of their own. */
const STATEMENTS_KEPT = 256

const BUSY = 5

const LOCK_RETRY_MS = 20

interface DriverOptions {
  /** Whether transactions run on the connection, so that a statement must wait for its turn. */
  readonly exclusive: boolean
  /** Whether its transactions write: they then begin with the write lock. */
  readonly writes?: boolean
  readonly lockWaitMs: number
}

export class NodeSqliteDialect extends SqliteDialect {
  readonly #database: SqliteDatabase
  readonly #options: DriverOptions

  constructor(database: DatabaseSync, options: DriverOptions) {
    const adapted = adapt(database)
    super({ database: adapted })
    this.#database = adapted
    this.#options = options
  }

  override createDriver(): SqliteDriver {
    return new ImmediateDriver(this.#database, this.#options)
  }

  override createAdapter(): SqliteAdapter {
    return new NodeSqliteAdapter(this.#options)
  }
}

/** Runs an attempt until it is done; the event loop turns in between. Throws StoreLocked when the wait is over. */
export async function retryWhileLocked(waitMs: number, attempt: () => Promise<'done' | 'locked'>): Promise<void> {
  const deadlineMs = performance.now() + waitMs
  while ((await attempt()) === 'locked') {
    if (performance.now() > deadlineMs) throw new StoreLocked('the key store is locked by another process')
    await sleep(LOCK_RETRY_MS)
  }
}

export function isLocked(error: unknown): boolean {
  const { errcode } = error as { errcode?: unknown }
  // The low byte is the kind of error; the rest says more about it.
  return typeof errcode === 'number' && (errcode & 0xff) === BUSY
}

class ImmediateDriver extends SqliteDriver {
  readonly #lockWaitMs: number
  readonly #begin: CompiledQuery

  constructor(database: SqliteDatabase, { lockWaitMs, writes = false }: DriverOptions) {
    super({ database })
    this.#lockWaitMs = lockWaitMs
    this.#begin = CompiledQuery.raw(writes ? 'BEGIN IMMEDIATE' : 'BEGIN')
  }

  /**
   * A deferred transaction that reads and then writes fails at once when another process has written in between; one that
   * begins with the write lock cannot.
   */
  override async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await retryWhileLocked(this.#lockWaitMs, async () => {
      try {
        await connection.executeQuery(this.#begin)
        return 'done'
      } catch (error) {
        if (isLocked(error)) return 'locked'
        throw error
      }
    })
  }
}

class NodeSqliteAdapter extends SqliteAdapter {
  readonly #options: DriverOptions

  constructor(options: DriverOptions) {
    super()
    this.#options = options
  }

  /** Where no transaction runs, every statement stands for itself, and Kysely need not queue them. */
  override get supportsMultipleConnections(): boolean {
    return !this.#options.exclusive
  }

  /** SQLite does; Kysely says otherwise because other drivers open more connections behind it. */
  override get supportsTransactionalDdl(): boolean {
    return true
  }
}

function adapt(database: DatabaseSync): SqliteDatabase {
  const statements = new LRUCache<string, SqliteStatement>({ max: STATEMENTS_KEPT })
  return {
    prepare(sql: string) {
      const kept = statements.get(sql)
      if (kept !== undefined) return kept
      const statement = adaptStatement(database.prepare(sql))
      statements.set(sql, statement)
      return statement
    },
    close: () => database.close(),
  }
}

function adaptStatement(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: parameters => statement.all(...(parameters as SQLInputValue[])),
    run: parameters => statement.run(...(parameters as SQLInputValue[])),
    iterate(): never {
      throw new Error('a kept statement cannot be read twice at once: use all()')
    },
  }
}
