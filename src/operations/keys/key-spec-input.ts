/** KeySpec and KeyUsage of a new key, from what CreateKey was given: the checks that need no key. */
import { algorithmsOf, type KeySpec, type KeyUsage } from '../../model/key-specs.ts'
import { invalid } from '../shapes.ts'

interface SpecInput {
  readonly KeySpec?: KeySpec | undefined
  readonly CustomerMasterKeySpec?: KeySpec | undefined
  readonly KeyUsage?: KeyUsage | undefined
}

/** Throws KmsError ValidationException when the members contradict each other. */
export function keySpecOf(input: SpecInput): { spec: KeySpec; usage: KeyUsage } {
  const { KeySpec, CustomerMasterKeySpec } = input
  if (KeySpec !== undefined && CustomerMasterKeySpec !== undefined) {
    invalid(
      'You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.',
    )
  }
  const spec = KeySpec ?? CustomerMasterKeySpec ?? 'SYMMETRIC_DEFAULT'
  const usage = input.KeyUsage ?? (spec === 'SYMMETRIC_DEFAULT' ? 'ENCRYPT_DECRYPT' : undefined)
  if (usage === undefined)
    return invalid('You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.')
  if (algorithmsOf(spec, usage).length === 0) invalid(`KeyUsage ${usage} is not compatible with KeySpec ${spec}`)
  return { spec, usage }
}
