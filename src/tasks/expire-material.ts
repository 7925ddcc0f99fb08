/**
 * Deletes imported material whose time has come, and the wrapping keys of imports that are over (security.md 2.7). Whoever
 * comes first of two daemons does it; the other finds nothing left.
 */
import type { AuditRecorder } from '../audit/recorder.ts'
import type { Clock } from '../base/clock.ts'
import type { Imports } from '../keyring/imports.ts'
import type { Store } from '../store/store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'

const BATCH = 100

export interface ExpiryParts {
  readonly store: Store
  readonly imports: Imports
  readonly audit: Pick<AuditRecorder, 'act'>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** Takes away all that is due. Returns how many keys have lost material. */
export async function expireMaterial(parts: ExpiryParts): Promise<number> {
  const { store, imports, audit, clock, logger, metrics } = parts
  let expired = 0
  for (;;) {
    const now = clock()
    const due = await store.reader.listKeysWithExpiredMaterial(now, BATCH)
    for (const key of due) {
      const event = { name: 'DeleteExpiredKeyMaterial', account: key.account, region: key.region, resources: [key.arn] }
      const { state } = await audit.act({ ...event, details: { keyId: key.arn } }, () =>
        imports.remove(key, ({ expiresAtMs }) => expiresAtMs !== undefined && expiresAtMs <= now),
      )
      metrics.materialsExpired.inc()
      logger.info('imported key material expired', { key: key.arn, state })
    }
    expired += due.length
    if (due.length < BATCH) break
  }
  for (;;) {
    const over = await store.reader.listDueImportKeys(clock(), BATCH)
    for (const importKey of over) await imports.end(importKey)
    if (over.length < BATCH) return expired
  }
}
