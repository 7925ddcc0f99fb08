/** The rules about ciphertexts: only a dry run may leave one out, and then it may be told to ignore one that is there. */
import { invalid } from '../shapes.ts'

interface CiphertextInput {
  readonly CiphertextBlob?: Buffer | undefined
  readonly DryRun?: boolean | undefined
  readonly DryRunModifiers?: readonly string[] | undefined
}

/** With IGNORE_CIPHERTEXT a dry run checks rights alone, so it must name the key. Throws KmsError ValidationException. */
export function checkCiphertextInput(input: CiphertextInput, keyId: string | undefined, keyMember: string): void {
  if (!isIgnored(input)) {
    if (input.CiphertextBlob === undefined) required('ciphertextBlob')
    return
  }
  if (input.DryRun !== true) invalid('DryRunModifiers can be used only when DryRun is true.')
  if (keyId === undefined) required(keyMember)
}

/** The ciphertext that counts; undefined when a dry run ignores it, whatever it is. */
export function ciphertextOf(input: CiphertextInput): Buffer | undefined {
  return isIgnored(input) ? undefined : input.CiphertextBlob
}

/** IGNORE_CIPHERTEXT is the only modifier there is. */
function isIgnored({ DryRunModifiers }: CiphertextInput): boolean {
  return (DryRunModifiers?.length ?? 0) > 0
}

function required(member: string): never {
  return invalid(
    `1 validation error detected: Value null at '${member}' failed to satisfy constraint: Member must not be null`,
  )
}
