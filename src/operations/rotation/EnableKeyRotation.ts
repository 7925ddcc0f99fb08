import { integer, optional, structure } from '../../base/schema.ts'
import { requireNoReplica } from '../../model/multi-region.ts'
import { defineOperation } from '../operation.ts'
import { keyId } from '../shapes.ts'
import { ROTATION_PERIOD_DAYS, requireScheduled, scheduleFrom } from './rotation-rules.ts'
import { scheduleKey } from './schedule-key.ts'

/** EnableKeyRotation has a key rotated every so many days; called again, it changes the period. */
export const EnableKeyRotation = defineOperation({
  name: 'EnableKeyRotation',
  input: structure({
    KeyId: keyId,
    RotationPeriodInDays: optional(integer({ min: ROTATION_PERIOD_DAYS.min, max: ROTATION_PERIOD_DAYS.max })),
  }),
  readOnly: false,
  access: (access, request, { KeyId, RotationPeriodInDays }) =>
    access.key(request, 'EnableKeyRotation', KeyId, {
      action: 'kms:EnableKeyRotation',
      facts: { keys: { 'kms:RotationPeriodInDays': RotationPeriodInDays ?? ROTATION_PERIOD_DAYS.default } },
    }),

  async run(key, { store, clock }, input) {
    requireScheduled(key)
    requireNoReplica(key)
    const rotation = scheduleFrom(clock(), input.RotationPeriodInDays ?? ROTATION_PERIOD_DAYS.default)
    await scheduleKey(store, key, rotation)
    return undefined
  },
})
