/** What the tests of multi-Region keys share: a primary in the sandbox's first region, replicas in the other. */
import type { KeyState, KMS } from '@aws-sdk/client-kms'
import { type Key, type Kind, kms, makeKey, OTHER_REGION, region } from './kms.ts'

export const MULTI_REGION = { MultiRegion: true } as const
export const MULTI_REGION_ID = /^mrk-[0-9a-f]{32}$/

/** The same key in the other region. */
export function counterpart({ id, arn }: Key): Key {
  return { id, arn: arn.replace(`:${region}:`, `:${OTHER_REGION}:`) }
}

export async function makeReplicated(kind: Kind = {}): Promise<{ primary: Key; replica: Key }> {
  const primary = await makeKey(kms, { ...kind, ...MULTI_REGION })
  await kms.replicateKey({ KeyId: primary.id, ReplicaRegion: OTHER_REGION })
  return { primary, replica: counterpart(primary) }
}

export async function stateOf({ id: KeyId }: Key, client: KMS = kms): Promise<KeyState | undefined> {
  return (await client.describeKey({ KeyId })).KeyMetadata!.KeyState
}

/** MultiRegionConfiguration of a key and its replica, by the primary's region. */
export function configurationOf(key: Key, primaryRegion: string, replicaRegions: readonly string[]) {
  const arnIn = (name: string) => key.arn.replace(/^(arn:aws:kms:)[^:]+/, `$1${name}`)
  const type = (own: string) => (own === primaryRegion ? 'PRIMARY' : 'REPLICA')
  return {
    MultiRegionKeyType: type(key.arn.split(':')[3] ?? ''),
    PrimaryKey: { Arn: arnIn(primaryRegion), Region: primaryRegion },
    ReplicaKeys: replicaRegions.map(name => ({ Arn: arnIn(name), Region: name })),
  }
}

/** How a replica refuses what its primary is to be asked for. */
export const asksPrimary = ({ arn }: Key, primary: Key) =>
  `UnsupportedOperationException: ${arn} is a replica key: ask for this on its primary key ${primary.arn}.`
