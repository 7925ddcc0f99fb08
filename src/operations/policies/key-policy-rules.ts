/** What a key policy must be before it is stored (authz.md 2). */
import { authorize } from '../../access/authorize.ts'
import { KEY_POLICY_NAME } from '../../access/compiled.ts'
import { malformed, PolicyFault, PrincipalArnFault } from '../../access/policy/fault.ts'
import { parsePolicy } from '../../access/policy/parse.ts'
import type { Policy } from '../../access/policy/policy.ts'
import { identify } from '../../access/principals.ts'
import type { Asker, KeyFacts } from '../../access/request-context.ts'
import type { ResourceQuotas } from '../../config/schema.ts'
import type { PrincipalIds } from '../../model/caller.ts'
import { KmsError } from '../../model/errors.ts'
import type { Reader } from '../../store/store.ts'
import type { Access } from '../access.ts'

export const POLICY_NAME = 'default'

/** A key policy that may be stored, and whom it means. */
export interface CheckedPolicy {
  readonly policy: Policy
  readonly principals: PrincipalIds
}

/** Throws KmsError: LimitExceeded, MalformedPolicyDocument or InvalidArn. */
export async function requireKeyPolicy(
  reader: Reader,
  text: string,
  { keyPolicyBytes }: ResourceQuotas,
): Promise<CheckedPolicy> {
  if (Buffer.byteLength(text) > keyPolicyBytes) {
    throw new KmsError('LimitExceededException', `The key policy is longer than ${keyPolicyBytes} bytes.`)
  }
  const policy = parse(text)
  const principals = await identify(reader, policy.principalArns)
  if (!('unknown' in principals)) return { policy, principals }
  const message = 'Policy contains a statement with one or more invalid principals.'
  throw new KmsError('MalformedPolicyDocumentException', message, { detail: principals.unknown })
}

/**
 * The caller must be able to put another policy in this one's place, or nobody may be. Throws KmsError
 * MalformedPolicyDocument.
 */
export function requireNoLockout(
  access: Access,
  asker: Asker,
  key: KeyFacts,
  { policy, principals }: CheckedPolicy,
  bypass: boolean | undefined,
): void {
  if (bypass === true) return
  const side = { policy, principals, grants: new Map() }
  const decision = authorize(access.onKey(asker, key, 'kms:PutKeyPolicy', bypassFacts(bypass), side))
  if (decision.allowed) return
  throw new KmsError(
    'MalformedPolicyDocumentException',
    'The new key policy will not allow you to update the key policy in the future.',
    { detail: decision.reason },
  )
}

/** The parameter is a condition key, so that administrators can forbid it. */
export function bypassFacts(bypass: boolean | undefined) {
  return { keys: { 'kms:BypassPolicyLockoutSafetyCheck': bypass } } as const
}

function parse(text: string): Policy {
  try {
    const policy = parsePolicy('key', KEY_POLICY_NAME, text)
    if (policy.statements.every(({ hasResource }) => hasResource)) return policy
    throw malformed('a statement has no Resource')
  } catch (error) {
    if (error instanceof PrincipalArnFault) {
      throw new KmsError('InvalidArnException', 'An ARN in the specified key policy is invalid.')
    }
    if (error instanceof PolicyFault) throw new KmsError('MalformedPolicyDocumentException', error.message)
    throw error
  }
}
