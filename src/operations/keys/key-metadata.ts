/** KeyMetadata, as CreateKey and DescribeKey return it. */
import type { KmsKey } from '../../model/key.ts'
import { ALGORITHM_MEMBER, algorithmsOf, specFacts } from '../../model/key-specs.ts'

export function keyMetadata(key: KmsKey): Record<string, unknown> {
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
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: specFacts(key.spec).legacyName ? key.spec : undefined,
    KeySpec: key.spec,
    [ALGORITHM_MEMBER[key.usage]]: algorithmsOf(key.spec, key.usage),
    MultiRegion: false,
    CurrentKeyMaterialId: key.spec === 'SYMMETRIC_DEFAULT' ? key.current.id : undefined,
  }
}

/** The wire's timestamps: seconds since the Unix epoch, with milliseconds as fraction. */
export function epochSeconds(milliseconds: number): number {
  return milliseconds / 1_000
}
