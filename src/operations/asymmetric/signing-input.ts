/** What Sign and Verify share: their input, and the key they need. */
import { blob, oneOf, optional } from '../../base/schema.ts'
import type { ToSign } from '../../keyring/key-pairs.ts'
import { MESSAGE_TYPES, type MessageType, SIGNING_ALGORITHMS, type SigningAlgorithm } from '../../model/algorithms.ts'
import type { KmsKey } from '../../model/key.ts'
import type { KeyRequirement } from '../access.ts'
import { requireAlgorithm } from '../algorithm.ts'
import { dryRun, grantTokens, keyId } from '../shapes.ts'

export const signingInput = {
  KeyId: keyId,
  Message: blob({ min: 1, max: 4_096 }),
  MessageType: optional(oneOf(MESSAGE_TYPES)),
  SigningAlgorithm: oneOf(SIGNING_ALGORITHMS),
  GrantTokens: grantTokens,
  DryRun: dryRun,
}

export function signs(action: string, input: SigningInput): KeyRequirement {
  const keys = { 'kms:SigningAlgorithm': input.SigningAlgorithm, 'kms:MessageType': input.MessageType ?? 'RAW' }
  return {
    action,
    names: 'ids-and-aliases',
    states: ['Enabled'],
    usage: 'SIGN_VERIFY',
    facts: { keys },
    grantTokens: input.GrantTokens,
  }
}

interface SigningInput {
  readonly Message: Buffer
  readonly MessageType?: MessageType | undefined
  readonly SigningAlgorithm: SigningAlgorithm
  readonly GrantTokens?: readonly string[] | undefined
}

/** Throws KmsError InvalidKeyUsageException when the algorithm is none of the key's. */
export function toSign(key: KmsKey, { Message, MessageType: type, SigningAlgorithm: algorithm }: SigningInput): ToSign {
  requireAlgorithm(key, algorithm)
  return { algorithm, messageType: type ?? 'RAW', message: Message }
}
