/** Multi-Region keys: one primary and its replicas, each a KMS key of its own region with the id and material of the others. */
import { keyArn } from './arn.ts'
import { KmsError } from './errors.ts'
import type { KmsKey } from './key.ts'

export type MultiRegionKeyType = 'PRIMARY' | 'REPLICA'

/** Undefined for a key of one region. */
export function multiRegionKeyType({
  region,
  primaryRegion,
}: Pick<KmsKey, 'region' | 'primaryRegion'>): MultiRegionKeyType | undefined {
  if (primaryRegion === undefined) return undefined
  return primaryRegion === region ? 'PRIMARY' : 'REPLICA'
}

export function isReplica(key: Pick<KmsKey, 'region' | 'primaryRegion'>): boolean {
  return multiRegionKeyType(key) === 'REPLICA'
}

/** Refuses all but the primary of a multi-Region key. Throws KmsError UnsupportedOperationException. */
export function requirePrimary(key: KmsKey): void {
  if (key.primaryRegion === undefined)
    throw new KmsError('UnsupportedOperationException', `${key.arn} is not a multi-Region key.`)
  requireNoReplica(key)
}

/** Of what replicas share with their primary, and only it decides. Throws KmsError UnsupportedOperationException. */
export function requireNoReplica(key: KmsKey): void {
  if (!isReplica(key)) return
  const primary = keyArn(key.primaryRegion ?? '', key.account, key.id)
  throw new KmsError(
    'UnsupportedOperationException',
    `${key.arn} is a replica key: ask for this on its primary key ${primary}.`,
  )
}
