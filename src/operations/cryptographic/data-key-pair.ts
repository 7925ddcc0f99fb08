/** What the operations that make data key pairs share: their input. */
import { oneOf } from '../../base/schema.ts'
import type { EncryptionContext } from '../../model/encryption-context.ts'
import { KmsError } from '../../model/errors.ts'
import { DATA_KEY_PAIR_SPECS, type DataKeyPairSpec } from '../../model/key-specs.ts'
import type { KeyRequirement } from '../access.ts'
import { dryRun, encryptionContext, grantTokens, keyId, refuseUnsupported } from '../shapes.ts'
import { generatesDataKeys } from './data-key.ts'

export const dataKeyPairInput = {
  KeyId: keyId,
  KeyPairSpec: oneOf(DATA_KEY_PAIR_SPECS),
  EncryptionContext: encryptionContext,
  GrantTokens: grantTokens,
  DryRun: dryRun,
}

interface DataKeyPairTerms {
  readonly KeyPairSpec: DataKeyPairSpec
  readonly EncryptionContext?: EncryptionContext | undefined
  readonly GrantTokens?: readonly string[] | undefined
}

export function generatesDataKeyPairs(action: string, input: DataKeyPairTerms): KeyRequirement {
  const need = generatesDataKeys(action, input)
  return { ...need, facts: { ...need.facts, keys: { ...need.facts?.keys, 'kms:DataKeyPairSpec': input.KeyPairSpec } } }
}

/** Throws KmsError UnsupportedOperationException. */
export function checkDataKeyPairInput(
  input: { readonly KeyPairSpec: DataKeyPairSpec } & Parameters<typeof refuseUnsupported>[0],
): void {
  if (input.KeyPairSpec === 'SM2') {
    throw new KmsError('UnsupportedOperationException', 'KeySpec SM2 needs a mechanism that PKCS#11 does not have.')
  }
  refuseUnsupported(input)
}
