/**
 * Identity policies, as far as they decide today: whether one of them allows `kms:*` on everything. Everything else that
 * a policy may say gives no right, and a policy that denies anything takes every right away.
 */
import type { Caller, PolicySource } from '../model/caller.ts'

const known = new WeakMap<Caller, boolean>()

/** Whether the caller may do all that KMS offers in its account. Worked out once for each caller. */
export function hasFullAccess(caller: Caller): boolean {
  let full = known.get(caller)
  if (full === undefined) {
    full = decide(caller)
    known.set(caller, full)
  }
  return full
}

function decide({ kind, policies, boundary, sessionPolicies }: Caller): boolean {
  if (kind === 'root') return true
  const ceilings = [boundary === undefined ? undefined : [boundary], sessionPolicies]
  return allowAll(policies) && ceilings.every(ceiling => ceiling === undefined || allowAll(ceiling))
}

function allowAll(policies: readonly PolicySource[]): boolean {
  const statements = policies.flatMap(({ document }) => statementsOf(document))
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
