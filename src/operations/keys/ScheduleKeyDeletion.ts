import { DAY_MS } from '../../base/clock.ts'
import { integer, optional, structure } from '../../base/schema.ts'
import { relatedKeys } from '../../keyring/related-keys.ts'
import { DELETION_WINDOW_DAYS, LIVE_STATES } from '../../model/key.ts'
import { isReplica } from '../../model/multi-region.ts'
import { defineOperation } from '../operation.ts'
import { invalid, keyId } from '../shapes.ts'
import { changeKey } from './change-key.ts'
import { epochSeconds } from './key-metadata.ts'

const { min, max, default: defaultDays } = DELETION_WINDOW_DAYS

/**
 * ScheduleKeyDeletion stops a key from being used at once, and deletes it when the waiting period has ended. That of a primary
 * with replicas begins when the last of them is gone.
 */
export const ScheduleKeyDeletion = defineOperation({
  name: 'ScheduleKeyDeletion',
  input: structure({ KeyId: keyId, PendingWindowInDays: optional(integer({ min: 1, max: 365 })) }),
  readOnly: false,
  check({ PendingWindowInDays: days }) {
    if (days !== undefined && (days < min || days > max))
      invalid(`PendingWindowInDays must be between ${min} and ${max}`)
  },
  access: (access, request, { KeyId, PendingWindowInDays: days = defaultDays }) =>
    access.key(request, 'ScheduleKeyDeletion', KeyId, {
      action: 'kms:ScheduleKeyDeletion',
      states: LIVE_STATES,
      facts: { keys: { 'kms:ScheduleKeyDeletionPendingWindowInDays': days } },
    }),

  async run(key, { store, clock }, input) {
    const days = input.PendingWindowInDays ?? defaultDays
    const deletionAtMs = clock() + days * DAY_MS
    const changed = await changeKey(store, key, LIVE_STATES, async (current, tx) => {
      const waits = !isReplica(current) && (await relatedKeys(tx, current)).length > 0
      return waits
        ? { state: 'PendingReplicaDeletion', deletionWindowDays: days }
        : { state: 'PendingDeletion', deletionAtMs }
    })
    return {
      KeyId: changed.arn,
      DeletionDate: changed.deletionAtMs === undefined ? undefined : epochSeconds(changed.deletionAtMs),
      KeyState: changed.state,
      PendingWindowInDays: days,
    }
  },
})
