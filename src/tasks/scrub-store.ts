/**
 * Overwrites what removed rows have left, where those who removed them could not: somebody read the database all the while, or the
 * process ended. Each process of the daemon does so for what it has removed.
 */
import type { Store } from '../store/store.ts'

/** How long it may stay when nobody is in the way any more. */
export const SCRUB_LOOK_MS = 10_000

/** Throws StoreLocked while others keep it from being done. */
export async function scrubStore(store: Pick<Store, 'scrub' | 'scrubOwed'>): Promise<void> {
  if (store.scrubOwed) await store.scrub()
}
