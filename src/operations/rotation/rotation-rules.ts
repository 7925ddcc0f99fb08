/** Which keys are rotated, and when. */
import { DAY_MS } from '../../base/clock.ts'
import { KmsError } from '../../model/errors.ts'
import type { KmsKey, RotationSchedule } from '../../model/key.ts'
import { specFacts } from '../../model/key-specs.ts'
import { requireOrigin } from '../origin.ts'

export const ROTATION_PERIOD_DAYS = { min: 90, max: 2_560, default: 365 } as const
/** AWS's number, which is not a quota that can be raised. */
export const ON_DEMAND_ROTATIONS_MAX = 25
/** So near to an automatic rotation, one on demand would make two of one. */
export const AUTOMATIC_ROTATION_MARGIN_MS = 20 * 60_000

/** Throws KmsError UnsupportedOperationException for keys that never have other material than their first. */
export function requireRotatable({ arn, spec }: KmsKey): void {
  if (specFacts(spec).class === 'symmetric') return
  const message = `${arn} is of KeySpec ${spec}: only symmetric encryption keys are rotated.`
  throw new KmsError('UnsupportedOperationException', message)
}

/** Throws KmsError UnsupportedOperationException for keys that are not rotated by themselves, whatever state they are in. */
export function requireScheduled(key: KmsKey): void {
  requireRotatable(key)
  requireOrigin(key, 'AWS_KMS')
}

/** A new period counts from the day it is set. */
export function scheduleFrom(nowMs: number, periodDays: number): RotationSchedule {
  return { periodDays, nextAtMs: nowMs + periodDays * DAY_MS }
}
