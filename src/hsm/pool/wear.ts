/** Whether a host has done enough, or holds too much memory, and is due to be replaced by a fresh one. */
import type { Host } from './host.ts'

export interface WearLimits {
  /** A host is replaced after so many commands, or when it holds so much memory, threads apart; 0 for never. */
  readonly recycleAfterCommands: number
  readonly recycleAfterMb: number
}

/** What the runtime of a thread takes, before it has done anything. */
const THREAD_MB = 24
/** A host is not replaced for its memory before it has lived so long: a bound too low must not keep hosts starting. */
const LIFE_LEAST_MS = 10_000

/** Why the host is worn; undefined when it is not. */
export function wearOf(host: Host, { recycleAfterCommands, recycleAfterMb }: WearLimits, nowMs: number) {
  const { served, residentMemoryMb, lanes, startedAtMs } = host
  if (recycleAfterCommands > 0 && served >= recycleAfterCommands) return `it has done ${served} commands`
  const allowedMb = recycleAfterMb + (lanes.length - 1) * THREAD_MB
  const tooLarge = recycleAfterMb > 0 && residentMemoryMb > allowedMb && nowMs - startedAtMs > LIFE_LEAST_MS
  return tooLarge ? `it holds ${residentMemoryMb} MB of memory` : undefined
}
