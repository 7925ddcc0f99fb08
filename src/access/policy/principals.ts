/** The Principal and NotPrincipal elements: whom a statement is about. */
import { type Caller, isMeantBy, type PrincipalIds } from '../../model/caller.ts'
import { PolicyFault, PrincipalArnFault } from './fault.ts'

/**
 * How a statement means a caller.
 * - `named`: by its own ARN or service name, or as one of everybody; the account itself, when it is the caller.
 * - `role`: by the ARN of its role.
 * - `account`: by its account, which an Allow only delegates to.
 */
export type Coverage = 'named' | 'role' | 'account'

export interface Principals {
  /** Undefined when the statement is not about the caller. */
  coverageOf(caller: Caller, ids: PrincipalIds): Coverage | undefined
  /** Users, roles and sessions that it names, which must exist. */
  readonly arns: readonly string[]
}

interface Named {
  everyone: boolean
  everyService: boolean
  readonly accounts: Set<string>
  readonly arns: Set<string>
  readonly services: Set<string>
}

const PRINCIPAL = /^arn:aws:(?:iam::\d{12}:(?:user|role)\/|sts::\d{12}:(?:assumed-role\/[^/]+\/|federated-user\/)).+$/
const WILDCARD = /[*?]/
const KINDS: ReadonlySet<string> = new Set(['AWS', 'Service', 'Federated', 'CanonicalUser'])
const INVALID = 'Policy contains a statement with one or more invalid principals.'

/** `lists` has the names by kind, or is `*`. Throws {@link PolicyFault}. */
export function compilePrincipals(lists: '*' | ReadonlyMap<string, readonly string[]>, not: boolean): Principals {
  const named: Named = {
    everyone: lists === '*',
    everyService: false,
    accounts: new Set(),
    arns: new Set(),
    services: new Set(),
  }
  for (const [kind, names] of lists === '*' ? [] : lists) {
    if (!KINDS.has(kind)) throw new PolicyFault(INVALID)
    for (const name of names) add(named, kind, name)
  }
  const coverageOf = (caller: Caller, ids: PrincipalIds) => coverage(named, caller, ids)
  // Everybody but those: who is left is meant like everybody else.
  return {
    coverageOf: not ? (caller, ids) => (coverageOf(caller, ids) === undefined ? 'named' : undefined) : coverageOf,
    arns: [...named.arns],
  }
}

function add(named: Named, kind: string, name: string): void {
  if (kind === 'AWS') addAws(named, name)
  else if (kind === 'Service') {
    if (name === '*') named.everyService = true
    else named.services.add(name)
  }
  // A Federated or CanonicalUser principal is no caller of this API: it is legal and means nobody.
}

function addAws(named: Named, name: string): void {
  const account = /^\d{12}$/.exec(name)?.[0] ?? /^arn:aws:iam::(\d{12}):root$/.exec(name)?.[1]
  if (name === '*') named.everyone = true
  else if (account !== undefined) named.accounts.add(account)
  else if (!PRINCIPAL.test(name) && name.startsWith('arn:')) throw new PrincipalArnFault(INVALID)
  else if (!PRINCIPAL.test(name) || WILDCARD.test(name)) throw new PolicyFault(INVALID)
  else named.arns.add(name)
}

function coverage(named: Named, caller: Caller, ids: PrincipalIds): Coverage | undefined {
  if (named.everyone) return 'named'
  if (caller.kind === 'service') return named.everyService || named.services.has(caller.arn) ? 'named' : undefined
  if (named.arns.has(caller.arn) && isMeantBy(ids, caller.arn, caller)) return 'named'
  const { principalArn } = caller
  if (principalArn !== caller.arn && named.arns.has(principalArn) && isMeantBy(ids, principalArn, caller)) return 'role'
  if (named.accounts.has(caller.account)) return caller.kind === 'root' ? 'named' : 'account'
  return undefined
}
