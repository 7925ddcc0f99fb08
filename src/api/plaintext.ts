/** Plaintext on its way to or from a caller, which no buffer keeps once its request is over. */
import { wipe } from '../base/bytes.ts'

/** The members of inputs and outputs that hold it. */
const PLAINTEXT_MEMBERS = ['Plaintext', 'PrivateKeyPlaintext', 'SharedSecret'] as const

/** Overwrites the plaintext among the members of an input or output; what is not there is nothing to do. */
export function wipePlaintext(members: Readonly<Record<string, unknown>> | undefined): void {
  for (const name of PLAINTEXT_MEMBERS) {
    const value = members?.[name]
    if (value instanceof Uint8Array) wipe(value)
  }
}
