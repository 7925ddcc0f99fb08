/** The rules about absent ciphertexts, which only a dry run may leave out. */
import { invalid } from '../shapes.ts'

interface CiphertextInput {
  readonly CiphertextBlob?: Buffer | undefined
  readonly DryRun?: boolean | undefined
  readonly DryRunModifiers?: readonly string[] | undefined
}

/** With IGNORE_CIPHERTEXT a dry run checks rights alone, so it must name the key. Throws KmsError ValidationException. */
export function checkCiphertextInput(input: CiphertextInput, keyId: string | undefined, keyMember: string): void {
  const ignoring = (input.DryRunModifiers?.length ?? 0) > 0
  if (ignoring && input.DryRun !== true) invalid('DryRunModifiers can be used only when DryRun is true.')
  if (input.CiphertextBlob !== undefined) return
  if (!ignoring) required('ciphertextBlob')
  if (keyId === undefined) required(keyMember)
}

function required(member: string): never {
  return invalid(
    `1 validation error detected: Value null at '${member}' failed to satisfy constraint: Member must not be null`,
  )
}
