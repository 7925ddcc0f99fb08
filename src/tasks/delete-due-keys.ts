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

/** Deletes every key that is due. Returns how many. A key that was taken back meanwhile stays. */
export async function deleteDueKeys(parts: DeletionParts): Promise<number> {
  const { store, clock } = parts
  let deleted = 0
  for (;;) {
    const due = await store.reader.listKeysDueForDeletion(clock(), BATCH)
    for (const key of due) if (await deleteKey(parts, key)) deleted += 1
    if (due.length < BATCH) break
  }
  if (deleted > 0) await store.scrub()
  return deleted
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
