/** The bodies that clients send: KMS's own members, no encryption context. */
import { randomBytes } from 'node:crypto'
import { factsOf, MESSAGE_BYTES, type Operation, PLAINTEXT_BYTES, VARIANTS } from './operations.ts'

/** What was made beforehand for requests that need it, in base64. */
export interface Made {
  readonly ciphertexts?: readonly string[]
  readonly signatures?: readonly { readonly Message: string; readonly Signature: string }[]
}

/** One body for each variant. `common` goes into all of them. */
export function requestBodies(
  operation: Operation,
  common: Readonly<Record<string, string>>,
  { ciphertexts = [], signatures = [] }: Made = {},
): string[] {
  const { members, needs } = factsOf(operation)
  const membersOf: Record<typeof needs, (index: number) => object> = {
    nothing: () => ({}),
    message: () => ({ Message: randomBytes(MESSAGE_BYTES).toString('base64') }),
    plaintext: () => ({ Plaintext: randomBytes(PLAINTEXT_BYTES).toString('base64') }),
    ciphertext: index => ({ CiphertextBlob: ciphertexts[index % ciphertexts.length] }),
    signature: index => signatures[index % signatures.length] ?? {},
  }
  return Array.from({ length: VARIANTS }, (_, index) =>
    JSON.stringify({ ...common, ...members, ...membersOf[needs](index) }),
  )
}
