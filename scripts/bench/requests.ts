/** The bodies that clients send: KMS's own members, no encryption context. */
import { randomBytes } from 'node:crypto'
import { type Operation, PLAINTEXT_BYTES, VARIANTS } from './operations.ts'

/** One body for each variant. `common` goes into all of them; `ciphertexts` are what Decrypt is asked to open. */
export function requestBodies(
  operation: Operation,
  common: Readonly<Record<string, string>>,
  ciphertexts: readonly string[] = [],
): string[] {
  const membersOf: Record<Operation, (index: number) => object> = {
    GenerateDataKey: () => ({ KeySpec: 'AES_256' }),
    Encrypt: () => ({ Plaintext: randomBytes(PLAINTEXT_BYTES).toString('base64') }),
    Decrypt: index => ({ CiphertextBlob: ciphertexts[index % ciphertexts.length] }),
  }
  return Array.from({ length: VARIANTS }, (_, index) => JSON.stringify({ ...common, ...membersOf[operation](index) }))
}
