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
import { StoreLocked, StoreUnwritable } from '../faults.ts'

/** More than the queries of this program; lists of different lengths give texts of their own. */
const STATEMENTS_KEPT = 256

const BUSY = 5
const READONLY = 8
const FULL = 13
/** SQLITE_IOERR_WRITE, _FSYNC, _DIR_FSYNC, _TRUNCATE, _SHMSIZE. */
const WRITE_FAILURES: ReadonlySet<number> = new Set([778, 1034, 1290, 1546, 4874])

const LOCK_RETRY_MS = 20

interface DriverOptions {
  /** Whether transactions run on the connection, so that a statement must wait for its turn. */
  readonly exclusive: boolean
  /** Whether its transactions write: they then begin with the write lock. */
  readonly writes?: boolean
  readonly lockWaitMs: number
}

export class NodeSqliteDialect extends SqliteDialect {
  readonly #connection: DatabaseSync
  readonly #database: SqliteDatabase
  readonly #options: DriverOptions

  constructor(connection: DatabaseSync, options: DriverOptions) {
    const database = adapt(connection)
    super({ database })
    this.#connection = connection
    this.#database = database
    this.#options = options
  }

  override createDriver(): SqliteDriver {
    return new ImmediateDriver(this.#connection, this.#database, this.#options)
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
  return kindOf(error) === BUSY
}

/** The low byte of the number; the rest says more about it. */
function kindOf(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown }
  return typeof errcode === 'number' ? errcode & 0xff : undefined
}

/** What a statement has thrown, in the words of the store. */
function faultOf(error: unknown): unknown {
  const kind = kindOf(error)
  const unwritable =
    kind === FULL || kind === READONLY || WRITE_FAILURES.has((error as { errcode?: number }).errcode ?? 0)
  return unwritable ? new StoreUnwritable((error as Error).message, { cause: error }) : error
}

class ImmediateDriver extends SqliteDriver {
  readonly #connection: DatabaseSync
  readonly #lockWaitMs: number
  readonly #begin: CompiledQuery

  constructor(connection: DatabaseSync, database: SqliteDatabase, { lockWaitMs, writes = false }: DriverOptions) {
    super({ database })
    this.#connection = connection
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

  /** A transaction that a full disk has ended was rolled back by SQLite itself. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#connection.isTransaction) await super.rollbackTransaction(connection)
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
    all(parameters) {
      try {
        return statement.all(...(parameters as SQLInputValue[]))
      } catch (error) {
        throw faultOf(error)
      }
    },
    run(parameters) {
      try {
        return statement.run(...(parameters as SQLInputValue[]))
      } catch (error) {
        throw faultOf(error)
      }
    },
    iterate(): never {
      throw new Error('a kept statement cannot be read twice at once: use all()')
    },
  }
}
