/** Opens the key store and joins its parts: the database, its reads and writes, and what memory holds of it. */
import { keyArn } from '../model/arn.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { AuditRows } from './audit-rows.ts'
import type { Database } from './dialects/database.ts'
import { openSqlite } from './dialects/sqlite.ts'
import { DomainGate } from './domain-gate.ts'
import { ChangedMeanwhile } from './faults.ts'
import { ForeignChanges, UntoldChanges } from './foreign-changes.ts'
import { CachedReader } from './hot-reader.ts'
import { migrate } from './migrations/migrate.ts'
import { RowChanges } from './row-changes.ts'
import { RowGuard } from './row-guard.ts'
import { RowMacs } from './row-macs.ts'
import type { RowProtection } from './row-signer.ts'
import { Scrubbing } from './scrubbing.ts'
import { putPendingEvent } from './sql/audit.ts'
import { countChange } from './sql/change-count.ts'
import { SqlTransaction } from './sql/transaction.ts'
import type { Store, StoreSiblings, Transaction } from './store.ts'
import { checkStore } from './store-check.ts'
import { StoreMetrics } from './store-metrics.ts'
import type { PendingEventSource } from './stored-audit.ts'
import { Touched } from './touched.ts'
import { VerifiedReader } from './verified-reader.ts'
import { View } from './view.ts'
import { Writability } from './writability.ts'

export interface StoreOptions {
  /** The file; its folder exists, with mode 0700. */
  readonly path: string
  /** Keys that memory holds, and as many aliases. */
  readonly cachedKeys?: number
  /** How long a transaction waits for other processes that write, before it throws StoreLocked. */
  readonly lockWaitMs?: number
  /**
   * Who makes and verifies the MACs of records. Without it records are read as they are, and those that carry MACs cannot be
   * changed.
   */
  readonly rows?: RowProtection
  /** Events that transactions leave behind with their changes. */
  readonly events?: PendingEventSource
  /** The other processes of the daemon that work with this store, when there are any. */
  readonly siblings?: StoreSiblings | undefined
  /** How old the view of what others have committed may become before nothing is answered from it; see view.ts. */
  readonly maxViewAgeMs?: number
  /** Called with the reason when the view is too old, and with undefined when it is current again. */
  readonly onStale?: (reason: string | undefined) => void
  /** Where transactions are counted and timed. */
  readonly metrics?: Metrics
}

const CACHED_KEYS_DEFAULT = 100_000
const LOCK_WAIT_DEFAULT_MS = 5_000

/** Opens the store, making or migrating it as needed. Throws StoreUnusable when the file is not for this program. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const database = await openSqlite({ path: options.path, lockWaitMs: options.lockWaitMs ?? LOCK_WAIT_DEFAULT_MS })
  try {
    await migrate(database)
  } catch (error) {
    await database.close()
    throw error
  }
  const guard = new RowGuard(options.rows, database)
  const domains = new DomainGate(guard, database.snapshots)
  const reader = new VerifiedReader(database.reader, database.snapshots, guard, domains)
  const hot = new CachedReader(reader, options.cachedKeys ?? CACHED_KEYS_DEFAULT)
  const metrics = options.metrics && new StoreMetrics(options.metrics)
  const { siblings, events } = options
  const view = new View({ look: () => watch.look(), onStale: options.onStale, maxAgeMs: options.maxViewAgeMs })
  const watched = { database, view, onChange: () => hot.forgetAll() }
  const changes = siblings && (await UntoldChanges.watch(watched))
  const watch = changes ?? new ForeignChanges(watched)
  const writability = new Writability()
  const scrubbing = new Scrubbing(() => database.scrub())
  const parts = { database, guard, domains, hot, metrics, events, siblings, changes, scrubbing }
  return {
    reader,
    hot,
    view,
    transaction: work => writability.of(() => runTransaction(parts, work)),
    get unwritable() {
      return writability.reason
    },
    heed(change) {
      hot.forget(Touched.of(change))
      if (change.number !== undefined) changes?.told(change.number)
    },
    rowMacs: new RowMacs(database, guard, domains),
    audit: new AuditRows(database, writability),
    get scrubOwed() {
      return scrubbing.owed
    },
    scrub: () => scrubbing.pay(),
    check: () => checkStore(database, guard),
    copyTo: (path, onProgress = () => {}) => database.copyTo(path, onProgress),
    sizes: () => database.sizes(),
    async close() {
      watch.stop()
      await database.close()
    },
  }
}

interface TransactionParts {
  readonly database: Database
  readonly guard: RowGuard
  readonly domains: DomainGate
  readonly hot: CachedReader
  readonly metrics: StoreMetrics | undefined
  readonly events: PendingEventSource | undefined
  readonly siblings: StoreSiblings | undefined
  readonly changes: UntoldChanges | undefined
  readonly scrubbing: Scrubbing
}

async function runTransaction<T>(
  { database, guard, domains, hot, metrics, events, siblings, changes, scrubbing }: TransactionParts,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  const touched = new Touched()
  const askedAtMs = performance.now()
  let begunAtMs: number | undefined
  let committed = false
  let number: number | undefined
  try {
    const { result, heads } = await database.writer.transaction().execute(async handle => {
      begunAtMs = performance.now()
      const rows = new RowChanges(guard, domains, handle)
      const result = await work(new SqlTransaction(handle, touched, rows))
      const event = events?.current()
      if (event !== undefined) {
        await putPendingEvent(handle, {
          ...{ id: event.id, atMs: Date.now(), chain: events?.chain ?? null },
          event: event.text([...touched.keys].map(arnOf)),
        })
      }
      const heads = await rows.finish()
      number = await countChange(handle)
      return { result, heads }
    })
    committed = true
    guard.committed(heads)
    return result
  } catch (error) {
    if (!database.isMissingReference(error)) throw error
    throw new ChangedMeanwhile('what the record belongs to is gone', { cause: error })
  } finally {
    // Of a transaction that failed it is not always known whether it was committed.
    if (touched.removedEkts) scrubbing.owe()
    hot.forget(touched)
    metrics?.ended(committed, { askedAtMs, begunAtMs })
    if (siblings !== undefined) {
      if (committed && number !== undefined) changes?.told(number)
      await siblings.changed(touched.told(committed ? number : undefined))
    }
  }
}

/** The ARN of a key that a transaction has touched. */
function arnOf(scoped: string): string {
  const [region = '', account = '', keyId = ''] = scoped.split('/')
  return keyArn(region, account, keyId)
}
