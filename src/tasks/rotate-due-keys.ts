/**
 * Rotates keys whose period has ended: a new HBK first, then one transaction that makes it the current material
 * (security.md 4.2). Two daemons may come to the same key; one of the transactions wins, and an HBK that nobody recorded is
 * simply gone. A key that was disabled at its time is rotated when it is enabled again.
 */
import type { AuditRecorder } from '../audit/recorder.ts'
import { type Clock, DAY_MS } from '../base/clock.ts'
import { type Keyring, rotationRequest } from '../keyring/keyring.ts'
import { rotateInStep } from '../keyring/related-keys.ts'
import type { KmsKey } from '../model/key.ts'
import { ChangedMeanwhile } from '../store/faults.ts'
import type { Store } from '../store/store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'

const BATCH = 100

export interface RotationParts {
  readonly store: Store
  readonly keyring: Keyring
  readonly audit: Pick<AuditRecorder, 'act'>
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** Rotates every key that is due. Returns how many. One that fails is logged, and tried again at the next run. */
export async function rotateDueKeys(parts: RotationParts): Promise<number> {
  const { store, clock, logger } = parts
  let rotated = 0
  const failed = new Set<string>()
  for (;;) {
    const due = (await store.reader.listKeysDueForRotation(clock(), BATCH + failed.size)).filter(
      key => !failed.has(key.arn),
    )
    for (const key of due) {
      try {
        if (await rotate(parts, key)) rotated += 1
      } catch (error) {
        failed.add(key.arn)
        logger.error('key not rotated: tried again at the next run', { key: key.arn, error })
      }
    }
    if (due.length < BATCH) return rotated
  }
}

/** False when another daemon, or a change of the key, came first. */
async function rotate(parts: RotationParts, key: KmsKey): Promise<boolean> {
  const { store, keyring, audit, clock, logger, metrics } = parts
  const { rotation } = key
  if (rotation === undefined) return false
  const now = clock()
  const made = await keyring.createMaterial(key.region, rotationRequest(key), now)
  // A daemon that was away does not make up for the rotations that it missed.
  const nextAtMs = Math.max(rotation.nextAtMs, now - DAY_MS) + rotation.periodDays * DAY_MS
  const changed = { ...key, rotation: { ...rotation, nextAtMs }, generation: key.generation + 1 }
  const details = { rotationType: 'AUTOMATIC', keyOrigin: key.origin, keyId: key.arn }
  const materials = { previousKeyMaterialId: key.current?.id, currentKeyMaterialId: made.id }
  const event = { name: 'RotateKey', account: key.account, region: key.region, resources: [key.arn] }
  const rotated = await audit.act({ ...event, details: { ...details, ...materials } }, async () => {
    try {
      await store.transaction(tx => rotateInStep(tx, changed, { ...made, rotationType: 'AUTOMATIC' }))
      return true
    } catch (error) {
      if (error instanceof ChangedMeanwhile) return false
      throw error
    }
  })
  if (!rotated) return false
  metrics.keysRotated.inc()
  logger.info('key rotated', { key: key.arn, material: made.id })
  return true
}
