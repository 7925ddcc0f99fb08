/** What Encapsulate and Decapsulate share: their input, and the key they need. */
import { oneOf } from '../../base/schema.ts'
import { ENCAPSULATION_ALGORITHMS } from '../../model/algorithms.ts'
import type { KeyRequirement } from '../access.ts'
import { dryRun, grantTokens, keyId } from '../shapes.ts'

export const encapsulationInput = {
  KeyId: keyId,
  EncapsulationAlgorithm: oneOf(ENCAPSULATION_ALGORITHMS),
  GrantTokens: grantTokens,
  DryRun: dryRun,
}

interface EncapsulationInput {
  readonly GrantTokens?: readonly string[] | undefined
}

export function encapsulates(action: string, { GrantTokens }: EncapsulationInput): KeyRequirement {
  return {
    action,
    names: 'ids-and-aliases',
    states: ['Enabled'],
    usage: 'ENCAPSULATE_DECAPSULATE',
    grantTokens: GrantTokens,
  }
}
