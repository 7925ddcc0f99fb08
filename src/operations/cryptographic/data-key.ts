/** What the operations that make data keys share: their input, its rules, and the key they need. */
import { oneOf, optional } from '../../base/schema.ts'
import type { EncryptionContext } from '../../model/encryption-context.ts'
import type { KeyRequirement } from '../access.ts'
import { dryRun, encryptionContext, grantTokens, invalid, keyId, numberOfBytes, refuseUnsupported } from '../shapes.ts'
import { encryptionFacts } from './encryption-algorithm.ts'

const LENGTHS = { AES_128: 16, AES_256: 32 } as const

export const dataKeyInput = {
  KeyId: keyId,
  KeySpec: optional(oneOf(['AES_256', 'AES_128'])),
  NumberOfBytes: optional(numberOfBytes),
  EncryptionContext: encryptionContext,
  GrantTokens: grantTokens,
  DryRun: dryRun,
}

interface DataKeySize {
  readonly KeySpec?: keyof typeof LENGTHS | undefined
  readonly NumberOfBytes?: number | undefined
}

export function checkDataKeyInput(input: DataKeySize & Parameters<typeof refuseUnsupported>[0]): void {
  if ((input.KeySpec === undefined) === (input.NumberOfBytes === undefined)) {
    invalid('Please specify either number of bytes or key spec.')
  }
  refuseUnsupported(input)
}

export function dataKeyLengthBytes({ KeySpec, NumberOfBytes }: DataKeySize): number {
  return KeySpec === undefined ? (NumberOfBytes ?? 0) : LENGTHS[KeySpec]
}

interface DataKeyTerms {
  readonly EncryptionContext?: EncryptionContext | undefined
  readonly GrantTokens?: readonly string[] | undefined
}

export function generatesDataKeys(action: string, input: DataKeyTerms): KeyRequirement {
  return {
    action,
    names: 'ids-and-aliases',
    states: ['Enabled'],
    usage: 'ENCRYPT_DECRYPT',
    dataKeys: true,
    facts: encryptionFacts(input.EncryptionContext, undefined),
    grantTokens: input.GrantTokens,
  }
}
