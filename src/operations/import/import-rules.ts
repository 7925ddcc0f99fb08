/** For how long material is imported. */
import { DAY_MS } from '../../base/clock.ts'
import type { ExpirationModel } from '../../model/imports.ts'
import { invalid } from '../shapes.ts'

const LONGEST_LIFE_MS = 365 * DAY_MS
const MS_PER_SECOND = 1_000

/** When imported material ends, in milliseconds; undefined for never. Throws KmsError ValidationException. */
export function expiryOf(
  nowMs: number,
  { ExpirationModel, ValidTo }: { ExpirationModel?: ExpirationModel | undefined; ValidTo?: number | undefined },
): number | undefined {
  if (ExpirationModel === 'KEY_MATERIAL_DOES_NOT_EXPIRE') {
    if (ValidTo !== undefined) invalid('ValidTo is not allowed when ExpirationModel is KEY_MATERIAL_DOES_NOT_EXPIRE.')
    return undefined
  }
  if (ValidTo === undefined) return invalid('ValidTo is required when ExpirationModel is KEY_MATERIAL_EXPIRES.')
  const expiresAtMs = Math.round(ValidTo * MS_PER_SECOND)
  if (expiresAtMs <= nowMs || expiresAtMs > nowMs + LONGEST_LIFE_MS) {
    invalid('ValidTo must be in the future, and at most 365 days from now.')
  }
  return expiresAtMs
}
