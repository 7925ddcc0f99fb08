/**
 * Deletes keys whose waiting period has ended: one transaction takes the EKT records away and leaves a tombstone, then the
 * hosts let go of the HBKs, tokens destroy those that reside in them, and the store overwrites what is left of the rows
 * (security.md 4.4).
 */
import type { AuditRecorder } from '../audit/recorder.ts'
import type { Clock } from '../base/clock.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { releasePrimary } from '../keyring/related-keys.ts'
import type { KmsKey } from '../model/key.ts'
import { RowRefused } from '../store/faults.ts'
import type { Store } from '../store/store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { scrubStore } from './scrub-store.ts'

const BATCH = 100

export interface DeletionParts {
  readonly store: Store
  readonly keyring: Keyring
  readonly audit: Pick<AuditRecorder, 'act'>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** What tokens still owe stands in the store, so a token that is away, or a crash, delays a destruction and does not lose it. */
export class DeletionJob {
  readonly #parts: DeletionParts
  /** Objects whose token was away when it was asked for; each is told of once. */
  readonly #waiting = new Set<string>()

  constructor(parts: DeletionParts) {
    this.#parts = parts
  }

  /**
   * Deletes every key that is due. Returns how many. A key that was taken back meanwhile stays, and so does one whose record
   * was changed by hand: it keeps none of the others from being deleted.
   */
  async run(): Promise<number> {
    const { store, clock } = this.#parts
    let deleted = 0
    const refused = new Set<string>()
    for (;;) {
      const due = await store.reader.listKeysDueForDeletion(clock(), BATCH + refused.size)
      const left = due.filter(({ arn }) => !refused.has(arn))
      for (const key of left) {
        try {
          if (await deleteKey(this.#parts, key)) deleted += 1
        } catch (error) {
          if (!(error instanceof RowRefused)) throw error
          refused.add(key.arn)
        }
      }
      if (left.length < BATCH) break
    }
    await this.#destroyDoomed()
    await scrubStore(store)
    return deleted
  }

  /** Has tokens destroy resident HBKs of keys that are gone. */
  async #destroyDoomed(): Promise<void> {
    const { store, keyring, logger } = this.#parts
    for (const object of await store.reader.listDoomedObjects()) {
      const fields = { region: object.region, serial: object.serial, ckaId: object.ckaId.toString('hex') }
      const confirmed = await keyring.destroy(object).catch((error: Error) => error)
      if (confirmed === true) {
        this.#waiting.delete(fields.ckaId)
        logger.info('resident HBK destroyed', fields)
      } else if (!this.#waiting.has(fields.ckaId)) {
        this.#waiting.add(fields.ckaId)
        const reason = confirmed instanceof Error ? confirmed.message : 'its token is away'
        logger.warn('resident HBK not destroyed yet: tried again until it is', { ...fields, reason })
      }
    }
  }
}

async function deleteKey(parts: DeletionParts, due: KmsKey): Promise<boolean> {
  const { store, keyring, audit, clock, logger, metrics } = parts
  const event = { name: 'DeleteKey', account: due.account, region: due.region, resources: [due.arn] }
  const key = await audit.act({ ...event, details: { keyId: due.arn } }, async () => {
    const deleted = await store.transaction(async tx => {
      const current = await tx.findKey(due, due.id)
      if (current?.deletionAtMs === undefined || current.deletionAtMs > clock()) return undefined
      await tx.deleteKey(current, clock())
      await releasePrimary(tx, current, clock())
      return current
    })
    // Before it is recorded, which may fail: no host serves a key that is gone.
    if (deleted !== undefined) await keyring.forget(deleted)
    return deleted
  })
  if (key === undefined) return false
  metrics.keysDeleted.inc()
  logger.info('key deleted', { key: key.arn })
  return true
}
