/** What GenerateMac and VerifyMac share: their input, and the key they need. */
import { blob, oneOf } from '../../base/schema.ts'
import { MAC_ALGORITHMS } from '../../model/algorithms.ts'
import type { KeyRequirement } from '../access.ts'
import { dryRun, grantTokens, keyId } from '../shapes.ts'

export const macInput = {
  KeyId: keyId,
  Message: blob({ min: 1, max: 4_096 }),
  MacAlgorithm: oneOf(MAC_ALGORITHMS),
  GrantTokens: grantTokens,
  DryRun: dryRun,
}

interface MacInput {
  readonly MacAlgorithm: string
  readonly GrantTokens?: readonly string[] | undefined
}

export function makesMacs(action: string, { MacAlgorithm, GrantTokens }: MacInput): KeyRequirement {
  return {
    action,
    names: 'ids-and-aliases',
    states: ['Enabled'],
    usage: 'GENERATE_VERIFY_MAC',
    facts: { keys: { 'kms:MacAlgorithm': MacAlgorithm } },
    grantTokens: GrantTokens,
  }
}
