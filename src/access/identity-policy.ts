/**
 * Identity policies, as far as they decide today: whether one of them allows `kms:*` on everything. Everything else that
 * a policy may say gives no right, and a policy that denies anything takes every right away.
 */
import type { Identity } from '../model/identity.ts'

const known = new WeakMap<Identity, boolean>()

/** Whether the identity may do all that KMS offers in its account. Worked out once for each loaded identity. */
export function hasFullAccess(identity: Identity): boolean {
  let full = known.get(identity)
  if (full === undefined) {
    full = decide([...identity.policies.values()])
    known.set(identity, full)
  }
  return full
}

function decide(documents: readonly string[]): boolean {
  const statements = documents.flatMap(statementsOf)
  return statements.every(({ Effect }) => Effect === 'Allow') && statements.some(allowsEverything)
}

interface Statement {
  readonly Effect?: unknown
  readonly Action?: unknown
  readonly Resource?: unknown
  readonly [element: string]: unknown
}

const UNCONDITIONAL: ReadonlySet<string> = new Set(['Sid', 'Effect', 'Action', 'Resource'])

function allowsEverything(statement: Statement): boolean {
  return (
    Object.keys(statement).every(element => UNCONDITIONAL.has(element)) &&
    [statement.Action].flat().includes('kms:*') &&
    [statement.Resource].flat().includes('*')
  )
}

/** A document that is not a policy is read as a denial: deny by default. */
function statementsOf(document: string): readonly Statement[] {
  try {
    const { Statement: statements } = JSON.parse(document) as { Statement?: Statement | Statement[] }
    return [statements ?? {}].flat()
  } catch {
    return [{}]
  }
}
