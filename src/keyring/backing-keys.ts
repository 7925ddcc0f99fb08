/** The HBK of a new key, in the way of its region and spec: wrapped into its record, or resident in a token. */
import { hash } from 'node:crypto'
import type { Args } from '../hsm/contract/commands.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import type { Ekt } from '../model/key.ts'
import type { KeyHome } from './key-homes.ts'
import { createResidentKey, type ResidentParts } from './resident-keys.ts'

export interface NewBackingKey {
  readonly ekt: Ekt
  readonly mid: Buffer
  /** SubjectPublicKeyInfo of a key pair. */
  readonly publicKey?: Buffer
}

/**
 * Generates an HBK. A wrapped one that is never stored is simply gone; of a resident one the store knows already. Throws
 * what the pool throws, and KmsError LimitExceededException.
 */
export async function createBackingKey(
  parts: ResidentParts,
  pool: HsmPool,
  request: Args<'createBackingKey'>,
  { resident, serials }: KeyHome,
): Promise<NewBackingKey> {
  if (resident) return createResidentKey(parts, pool, request, serials)
  const { record, mid, publicKey } = await pool.call('createBackingKey', request, { serials })
  const ekt = { digest: hash('sha256', record, 'buffer'), record: Buffer.from(record) }
  return { ekt, mid: Buffer.from(mid), ...(publicKey.length > 0 ? { publicKey: Buffer.from(publicKey) } : {}) }
}
