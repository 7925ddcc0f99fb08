/** A policy document that has been compiled: statements, each with what it is about. Immutable. */
import type { Caller, PrincipalIds } from '../../model/caller.ts'
import type { Condition, Effect } from './conditions.ts'
import type { Context } from './context.ts'
import type { Coverage, Principals } from './principals.ts'

export interface Statement {
  /** How a reason names it: `the key policy, statement 1 ("Enable IAM User Permissions")`. */
  readonly label: string
  readonly effect: Effect
  /** Undefined in identity policies, which are about whoever has them. */
  readonly principals: Principals | undefined
  /** `action` is in lower case. */
  readonly isAboutAction: (action: string) => boolean
  /** Whether it has a Resource element. A key policy is judged without, and not written. */
  readonly hasResource: boolean
  readonly isAboutResource: (arn: string, context: Context) => boolean
  readonly conditions: readonly Condition[]
}

/** The statements about one action, by what they do. */
export interface Relevant {
  readonly allow: readonly Statement[]
  readonly deny: readonly Statement[]
}

interface Worked {
  readonly all: Relevant
  /** Those that may apply to a request without an encryption context. */
  readonly withoutContext: Relevant
}

export class Policy {
  readonly name: string
  readonly statements: readonly Statement[]
  readonly #worked = new Map<string, Worked>()

  constructor(name: string, statements: readonly Statement[]) {
    this.name = name
    this.statements = statements
  }

  /**
   * The statements that may apply, to a request with the context where one is given; `action` as AWS spells it. Worked out
   * once for each action, of which there are as many as operations.
   */
  about(action: string, context?: Context): Relevant {
    const worked = this.#worked.get(action) ?? this.#workOut(action)
    return context?.encryptionContext.size === 0 ? worked.withoutContext : worked.all
  }

  #workOut(action: string): Worked {
    const lower = action.toLowerCase()
    const found = this.statements.filter(statement => statement.isAboutAction(lower))
    const needsContext = ({ conditions }: Statement) => conditions.some(one => one.needsEncryptionContext)
    const worked = {
      all: byEffect(found),
      withoutContext: byEffect(found.filter(statement => !needsContext(statement))),
    }
    this.#worked.set(action, worked)
    return worked
  }

  /** Users, roles and sessions that its statements name. */
  get principalArns(): readonly string[] {
    return this.statements.flatMap(({ principals }) => principals?.arns ?? [])
  }
}

function byEffect(statements: readonly Statement[]): Relevant {
  return {
    allow: statements.filter(({ effect }) => effect === 'Allow'),
    deny: statements.filter(({ effect }) => effect === 'Deny'),
  }
}

/** Who asks for what, as a statement sees it. */
export interface Subject {
  readonly caller: Caller
  readonly resource: { readonly arn: string }
  readonly context: Context
  /** Undefined where no statement names principals. */
  readonly key?: { readonly principals: PrincipalIds } | undefined
}

const NOBODY: PrincipalIds = new Map()

/** How a statement about the action means the caller; undefined when it does not apply. */
export function coverageOf(statement: Statement, { caller, resource, context, key }: Subject): Coverage | undefined {
  const coverage =
    statement.principals === undefined ? 'named' : statement.principals.coverageOf(caller, key?.principals ?? NOBODY)
  if (coverage === undefined || !statement.isAboutResource(resource.arn, context)) return undefined
  for (const condition of statement.conditions) if (!condition.holds(context, statement.effect)) return undefined
  return coverage
}
