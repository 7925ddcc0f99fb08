/** The HBK of a new key, in the way of its region: wrapped into its record, or resident in a token. */
import { hash } from 'node:crypto'
import type { Args } from '../hsm/contract/commands.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import type { Ekt } from '../model/key.ts'
import { createResidentKey, type ResidentParts } from './resident-keys.ts'

/**
 * Generates an HBK. A wrapped one that is never stored is simply gone; of a resident one the store knows already. Throws
 * what the pool throws, and KmsError LimitExceededException.
 */
export async function createBackingKey(
  parts: ResidentParts,
  pool: HsmPool,
  request: Args<'createBackingKey'>,
): Promise<{ ekt: Ekt; mid: Buffer }> {
  if (pool.resident) return createResidentKey(parts, pool, request)
  const { record, mid } = await pool.call('createBackingKey', request)
  return { ekt: { digest: hash('sha256', record, 'buffer'), record: Buffer.from(record) }, mid: Buffer.from(mid) }
}
