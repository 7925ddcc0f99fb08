/**
 * The Policy of a new key, while key policies do not decide yet. Only the default policy, which hands the decision to the
 * account's identity policies, says what is enforced; any other would be a promise that nobody keeps.
 */
import { rootArn } from '../../model/arn.ts'
import { KmsError } from '../../model/errors.ts'
import { defaultKeyPolicy } from '../../model/key.ts'

const POLICY_MAX_BYTES = 32_768

/** The policy text to store. Throws KmsError: LimitExceeded, MalformedPolicyDocument, UnsupportedOperation. */
export function keyPolicyOf(account: string, policy: string | undefined): string {
  if (policy === undefined) return defaultKeyPolicy(account)
  if (Buffer.byteLength(policy) > POLICY_MAX_BYTES) {
    throw new KmsError('LimitExceededException', `The key policy is longer than ${POLICY_MAX_BYTES} bytes.`)
  }
  if (statementsOf(policy).every(statement => delegatesEverything(statement, account))) return policy
  throw new KmsError(
    'UnsupportedOperationException',
    'Key policies are not enforced yet: only the default policy, which allows kms:* to the account root, is accepted.',
  )
}

interface Statement {
  readonly [element: string]: unknown
}

const ELEMENTS: ReadonlySet<string> = new Set(['Sid', 'Effect', 'Principal', 'Action', 'Resource'])

function delegatesEverything(statement: Statement, account: string): boolean {
  const { AWS: principal } = (statement.Principal ?? {}) as { AWS?: unknown }
  return (
    Object.keys(statement).every(element => ELEMENTS.has(element)) &&
    statement.Effect === 'Allow' &&
    [principal].flat().every(name => name === account || name === rootArn(account)) &&
    [statement.Action].flat().includes('kms:*') &&
    [statement.Resource].flat().includes('*')
  )
}

function statementsOf(policy: string): Statement[] {
  const malformed = (why: string) =>
    new KmsError('MalformedPolicyDocumentException', `The policy is not valid: ${why}.`)
  let document: unknown
  try {
    document = JSON.parse(policy)
  } catch {
    throw malformed('it is not JSON')
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw malformed('it is not a JSON object')
  const statements = [(document as { Statement?: unknown }).Statement ?? []].flat()
  if (statements.length === 0) throw malformed('it has no statement')
  if (!statements.every(statement => typeof statement === 'object' && statement !== null)) {
    throw malformed('a statement is not an object')
  }
  return statements as Statement[]
}
