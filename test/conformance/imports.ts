/** What the tests of imported material share. */
import type { KeyState } from '@aws-sdk/client-kms'
import { expect } from '@jest/globals'
import { type Key, type Kind, kms } from './kms.ts'

export const EXTERNAL = { Origin: 'EXTERNAL' } as const

export async function makeExternal(kind: Kind = {}): Promise<Key> {
  const { KeyMetadata } = await kms.createKey({ ...kind, ...EXTERNAL })
  return { id: KeyMetadata!.KeyId!, arn: KeyMetadata!.Arn! }
}

export const originRefused = ({ arn }: Key) =>
  `UnsupportedOperationException: ${arn} origin is AWS_KMS which is not valid for this operation.`
export const pendingImport = ({ arn }: Key) => `KMSInvalidStateException: ${arn} is pending import.`

export async function expectState({ id: KeyId }: Key, state: KeyState): Promise<void> {
  const { KeyMetadata } = await kms.describeKey({ KeyId })
  expect(KeyMetadata).toMatchObject({ KeyState: state, Enabled: state === 'Enabled' })
}
