/** Opens the key store and joins its parts: the database, its reads and writes, and what memory holds of it. */
import type { Database } from './dialects/database.ts'
import { openSqlite } from './dialects/sqlite.ts'
import { ChangedMeanwhile } from './faults.ts'
import { CachedReader } from './hot-reader.ts'
import { migrate } from './migrations/migrate.ts'
import { SqlReader } from './sql/reader.ts'
import { SqlTransaction } from './sql/transaction.ts'
import type { Store, Transaction } from './store.ts'
import { Touched } from './touched.ts'

export interface StoreOptions {
  /** The file; its folder exists, with mode 0700. */
  readonly path: string
  /** Keys that memory holds, and as many aliases. */
  readonly cachedKeys?: number
  /** How long a transaction waits for other processes that write, before it throws StoreLocked. */
  readonly lockWaitMs?: number
}

const CACHED_KEYS_DEFAULT = 100_000
const LOCK_WAIT_DEFAULT_MS = 5_000
/** A change made by another process is seen within a second (design.md 5): twice as often, for a timer that comes late. */
const FOREIGN_COMMITS_POLL_MS = 500

/** Opens the store, making or migrating it as needed. Throws StoreUnusable when the file is not for this program. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const database = await openSqlite({ path: options.path, lockWaitMs: options.lockWaitMs ?? LOCK_WAIT_DEFAULT_MS })
  try {
    await migrate(database)
  } catch (error) {
    await database.close()
    throw error
  }
  const reader = new SqlReader(database.reader)
  const hot = new CachedReader(reader, options.cachedKeys ?? CACHED_KEYS_DEFAULT)
  const stopWatching = watchForeignCommits(database, () => hot.forgetAll())
  return {
    reader,
    hot,
    transaction: work => runTransaction(database, hot, work),
    scrub: () => database.scrub(),
    async close() {
      stopWatching()
      await database.close()
    },
  }
}

async function runTransaction<T>(
  database: Database,
  hot: CachedReader,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const touched = new Touched()
  try {
    return await database.writer.transaction().execute(handle => work(new SqlTransaction(handle, touched)))
  } catch (error) {
    if (!database.isMissingReference(error)) throw error
    throw new ChangedMeanwhile('what the record belongs to is gone', { cause: error })
  } finally {
    hot.forget(touched)
  }
}

/** Calls back when another process has committed, and when it cannot be known whether one has. Returns how to stop. */
function watchForeignCommits(database: Database, onCommit: () => void): () => void {
  let seen: number | undefined = database.foreignCommits()
  const timer = setInterval(() => {
    const commits = countForeignCommits(database)
    if (commits !== seen || commits === undefined) onCommit()
    seen = commits
  }, FOREIGN_COMMITS_POLL_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/** Undefined when the database does not answer: the reads that follow say why to those who ask. */
function countForeignCommits(database: Database): number | undefined {
  try {
    return database.foreignCommits()
  } catch {
    return undefined
  }
}
