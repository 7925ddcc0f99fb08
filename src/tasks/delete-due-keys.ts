/**
 * Deletes keys whose waiting period has ended: one transaction takes the EKT records away and leaves a tombstone, then the
 * hosts let go of the HBKs, then the store overwrites what is left of the rows (security.md 4.4).
 */
import type { Clock } from '../base/clock.ts'
import type { Keyring } from '../keyring/keyring.ts'
import type { KmsKey } from '../model/key.ts'
import type { Store } from '../store/store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'

const BATCH = 100

export interface DeletionParts {
  readonly store: Store
  readonly keyring: Keyring
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** The job, with what it still owes: rows that are gone stay in the file until a scrub has succeeded. */
export class DeletionJob {
  readonly #parts: DeletionParts
  #scrubOwed = true

  constructor(parts: DeletionParts) {
    this.#parts = parts
  }

  /** Deletes every key that is due. Returns how many. A key that was taken back meanwhile stays. */
  async run(): Promise<number> {
    const { store, clock } = this.#parts
    let deleted = 0
    for (;;) {
      const due = await store.reader.listKeysDueForDeletion(clock(), BATCH)
      for (const key of due) if (await deleteKey(this.#parts, key)) deleted += 1
      if (due.length < BATCH) break
    }
    this.#scrubOwed ||= deleted > 0
    if (this.#scrubOwed) await store.scrub()
    this.#scrubOwed = false
    return deleted
  }
}

async function deleteKey({ store, keyring, clock, logger, metrics }: DeletionParts, due: KmsKey): Promise<boolean> {
  const key = await store.transaction(async tx => {
    const current = await tx.findKey(due, due.id)
    if (current?.deletionAtMs === undefined || current.deletionAtMs > clock()) return undefined
    await tx.deleteKey(current, clock())
    return current
  })
  if (key === undefined) return false
  await keyring.forget(key)
  metrics.keysDeleted.inc()
  logger.info('key deleted', { key: key.arn })
  return true
}
