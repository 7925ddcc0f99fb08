/**
 * SQLite, built into Node, under Kysely: one connection that writes and two that only read, so that a read neither waits
 * for a transaction nor sees what it has not committed; on the second of them several statements see one moment. This process must not open and close the file by other
 * means while the store is open: POSIX would drop SQLite's locks with the first close.
 */
import { closeSync, openSync, statSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { CompiledQuery, Kysely } from 'kysely'
import { StoreLocked, StoreMoved, StoreUnusable } from '../faults.ts'
import type { Tables } from '../sql/tables.ts'
import type { Database } from './database.ts'
import { ForeignCommits, ThreadedBlockWriter } from './sqlite-blocks.ts'
import { copyDatabase } from './sqlite-copy.ts'
import { isLocked, NodeSqliteDialect, retryWhileLocked } from './sqlite-driver.ts'

/** Of one kind, at a look. */
const FAULTS_NAMED = 1_000

/** In the file's header, so that the database of another program is not taken for an empty store: "SRks". */
const APPLICATION_ID = 0x53526b73

const NOT_A_DATABASE = 26
const FOREIGN_KEY_VIOLATION = 787

/** While opening, nothing else needs the event loop; afterwards a wait inside SQLite would stop the whole process. */
const OPENING_BUSY_TIMEOUT_MS = 5_000
const BUSY_TIMEOUT_MS = 5

/** A large sort leaves no EKT records in a file of its own; functions in a schema that was tampered with do not run. */
const EVERY_CONNECTION = 'PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;'

export interface SqliteOptions {
  readonly path: string
  /** How long to wait for other processes that write, before StoreLocked. */
  readonly lockWaitMs: number
}

/** Opens or creates the file, with mode 0600. Throws StoreUnusable when it is something else. */
export async function openSqlite({ path, lockWaitMs }: SqliteOptions): Promise<Database> {
  createFile(path)
  const writing = new DatabaseSync(path, { timeout: OPENING_BUSY_TIMEOUT_MS })
  try {
    await prepareFile(writing, path, lockWaitMs)
    const [reading, looking] = [openReadOnly(path), openReadOnly(path)]
    return databaseOf({ path, writing, reading, looking }, lockWaitMs)
  } catch (error) {
    writing.close()
    throw error
  }
}

function openReadOnly(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: OPENING_BUSY_TIMEOUT_MS, readOnly: true })
  database.exec(EVERY_CONNECTION)
  return database
}

interface Connections {
  readonly path: string
  readonly writing: DatabaseSync
  /** For single statements. */
  readonly reading: DatabaseSync
  /** For transactions that only read. */
  readonly looking: DatabaseSync
}

function databaseOf({ path, writing, reading, looking }: Connections, lockWaitMs: number): Database {
  const requirePlace = holdPlace(path)
  const handle = (database: DatabaseSync, exclusive: boolean, writes: boolean) =>
    new Kysely<Tables>({ dialect: new NodeSqliteDialect(database, { exclusive, writes, lockWaitMs }) })
  const writer = handle(writing, true, true)
  const reader = handle(reading, false, false)
  const snapshots = handle(looking, true, false)
  const dataVersion = writing.prepare('PRAGMA data_version')
  const foreign = new ForeignCommits(() => dataVersion.get()?.data_version as number)
  const alone = <T>(work: () => Promise<T>) => writer.connection().execute(work)
  const blocks = new ThreadedBlockWriter({ thread: { path, lockWaitMs }, foreign, alone })
  return {
    blocks,
    reader,
    snapshots,
    writer,
    bytesColumn: 'blob',
    foreignCommits() {
      requirePlace()
      return foreign.count()
    },
    isMissingReference: error => errorNumber(error) === FOREIGN_KEY_VIOLATION,
    sizes: async () => ({ database: await sizeOf(path), wal: await sizeOf(`${path}-wal`) }),
    scrub: () => truncateLog(writer, lockWaitMs),
    damages: () => findDamages(looking),
    copyTo: (to, onProgress) => copyDatabase(path, to, onProgress),
    async close() {
      await writer.connection().execute(async () => {
        await blocks.close()
        await snapshots.connection().execute(async () => {
          if (looking.isOpen) looking.close()
        })
        // The writing connection goes last: whoever closes a WAL database last also folds the WAL into the file.
        if (reading.isOpen) reading.close()
        if (writing.isOpen) writing.close()
      })
    },
  }
}

/**
 * Returns what throws when the file that is at the path is no longer the one of this moment: what others commit is in that one
 * then, and the connections of this process do not see it.
 */
function holdPlace(path: string): () => void {
  const held = statSync(path, { bigint: true })
  return () => {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false })
    if (found === undefined) throw new StoreMoved(`${path} is gone`)
    if (found.ino !== held.ino || found.dev !== held.dev)
      throw new StoreMoved(`${path} is another file than was opened`)
  }
}

/** 0 for a file that is not there. To look at it does not open it. */
async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}

/** SQLite gives the WAL and its index the mode of the file, so it is enough that the file is made with the right one. */
function createFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

async function prepareFile(database: DatabaseSync, path: string, lockWaitMs: number): Promise<void> {
  await retryWhileLocked(lockWaitMs, async () => {
    try {
      claimFile(database, path)
      database.exec('PRAGMA journal_mode = WAL')
      return 'done'
    } catch (error) {
      if (errorNumber(error) === NOT_A_DATABASE) throw new StoreUnusable(`${path} is not a key store`, { cause: error })
      if (isLocked(error)) return 'locked'
      throw error
    }
  })
  database.exec(`
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA secure_delete = ON;
    ${EVERY_CONNECTION}
    PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS};
  `)
  for (const [pragma, wanted] of [
    ['journal_mode', 'wal'],
    ['synchronous', 2],
    ['foreign_keys', 1],
    ['secure_delete', 1],
  ] as const) {
    const [set] = Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})
    if (set !== wanted) throw new StoreUnusable(`${path}: SQLite does not grant ${pragma} = ${wanted} here`)
  }
}

function claimFile(database: DatabaseSync, path: string): void {
  const owner = database.prepare('PRAGMA application_id').get()?.application_id
  if (owner === APPLICATION_ID) return
  const tables = database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.tables
  if (owner !== 0 || tables !== 0) throw new StoreUnusable(`${path} is the database of another program`)
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}`)
}

/**
 * secure_delete has overwritten the pages; the WAL still holds their older versions until all of it is in the file and
 * it is cut to nothing.
 */
async function truncateLog(writer: Kysely<Tables>, lockWaitMs: number): Promise<void> {
  const checkpoint = CompiledQuery.raw('PRAGMA wal_checkpoint(TRUNCATE)')
  await retryWhileLocked(lockWaitMs, async () => {
    const { rows } = await writer.executeQuery<{ busy: number }>(checkpoint)
    return rows[0]?.busy === 0 ? 'done' : 'locked'
  }).catch(error => {
    if (!(error instanceof StoreLocked)) throw error
    throw new StoreLocked('another process keeps the WAL of the key store in use: removed rows are still in it')
  })
}

function findDamages(database: DatabaseSync): ReturnType<Database['damages']> {
  const faults = database.prepare(`PRAGMA integrity_check(${FAULTS_NAMED})`).all()
  const dangling = database.prepare('PRAGMA foreign_key_check').all().slice(0, FAULTS_NAMED)
  return [
    ...faults
      .map(row => String(Object.values(row)[0]))
      .filter(fault => fault !== 'ok')
      .map(reason => ({ table: 'file', primaryKey: '-', reason })),
    ...dangling.map(({ table, rowid, parent }) => ({
      ...{ table: String(table), primaryKey: `row ${rowid}` },
      reason: `it belongs to a record of ${parent} that is not there`,
    })),
  ]
}

function errorNumber(error: unknown): unknown {
  return (error as { errcode?: unknown }).errcode
}
