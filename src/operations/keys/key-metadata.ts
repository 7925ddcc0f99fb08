/** KeyMetadata, as CreateKey, ReplicateKey and DescribeKey return it. */
import { keyArn } from '../../model/arn.ts'
import { isComplete, type KmsKey, permanentMaterials } from '../../model/key.ts'
import { ALGORITHM_MEMBER, algorithmsOf, specFacts } from '../../model/key-specs.ts'
import { multiRegionKeyType } from '../../model/multi-region.ts'

/** `regions` are those that hold a multi-Region key, in ascending order. */
export function keyMetadata(key: KmsKey, regions: readonly string[]): Record<string, unknown> {
  return {
    AWSAccountId: key.account,
    KeyId: key.id,
    Arn: key.arn,
    CreationDate: epochSeconds(key.createdAtMs),
    Enabled: key.state === 'Enabled',
    Description: key.description,
    KeyUsage: key.usage,
    KeyState: key.state,
    DeletionDate: key.deletionAtMs === undefined ? undefined : epochSeconds(key.deletionAtMs),
    Origin: key.origin,
    KeyManager: key.managedBy === undefined ? 'CUSTOMER' : 'AWS',
    CustomerMasterKeySpec: specFacts(key.spec).legacyName ? key.spec : undefined,
    KeySpec: key.spec,
    [ALGORITHM_MEMBER[key.usage]]: algorithmsOf(key.spec, key.usage),
    PendingDeletionWindowInDays: key.deletionWindowDays,
    MultiRegion: key.primaryRegion !== undefined,
    MultiRegionConfiguration: multiRegionOf(key, regions),
    CurrentKeyMaterialId: key.spec === 'SYMMETRIC_DEFAULT' ? key.current?.id : undefined,
    ...expirationOf(key),
  }
}

function multiRegionOf(key: KmsKey, regions: readonly string[]): Record<string, unknown> | undefined {
  const { account, id, primaryRegion } = key
  if (primaryRegion === undefined) return undefined
  const keyIn = (region: string) => ({ Arn: keyArn(region, account, id), Region: region })
  return {
    MultiRegionKeyType: multiRegionKeyType(key),
    PrimaryKey: keyIn(primaryRegion),
    ReplicaKeys: regions.filter(region => region !== primaryRegion).map(keyIn),
  }
}

/** When imported material ends: the earliest of what the key works with, and nothing while some of it is away. */
function expirationOf(key: KmsKey): Record<string, unknown> {
  if (key.origin !== 'EXTERNAL' || !isComplete(key)) return {}
  const ends = permanentMaterials(key).flatMap(({ expiresAtMs }) => expiresAtMs ?? [])
  if (ends.length === 0) return { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' }
  return { ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: epochSeconds(Math.min(...ends)) }
}

/** The wire's timestamps: seconds since the Unix epoch, with milliseconds as fraction. */
export function epochSeconds(milliseconds: number): number {
  return milliseconds / 1_000
}
