/**
 * Policies compiled once: those of a caller, and those of keys. What is stored was checked when it was written; a document
 * that is no policy all the same denies everything.
 */
import { LRUCache } from 'lru-cache'
import type { Caller, PolicySource, PrincipalIds } from '../model/caller.ts'
import type { KmsKey } from '../model/key.ts'
import { type GrantIndex, indexGrants } from './grants.ts'
import { PolicyFault } from './policy/fault.ts'
import { compilePolicy, type PolicyKind, parsePolicy } from './policy/parse.ts'
import type { Policy } from './policy/policy.ts'

export const KEY_POLICY_NAME = 'the key policy'

/** What speaks for a caller, and what limits it. */
export interface CallerPolicies {
  readonly identity: readonly Policy[]
  readonly boundary: Policy | undefined
  /** A union; undefined when the session was not limited. */
  readonly session: readonly Policy[] | undefined
}

/** What a key says of who may use it. */
export interface KeySide {
  readonly policy: Policy
  /** Whom the policy means by the ARNs that it names. */
  readonly principals: PrincipalIds
  readonly grants: GrantIndex
}

const callers = new WeakMap<Caller, CallerPolicies>()
const sources = new WeakMap<PolicySource, Policy>()
const keys = new WeakMap<KmsKey, KeySide>()
/** Many keys have one text: the default policy of their account. */
const keyPolicies = new LRUCache<string, Policy>({ max: 1_000 })

export function policiesOf(caller: Caller): CallerPolicies {
  let compiled = callers.get(caller)
  if (compiled === undefined) {
    const { policies, boundary, sessionPolicies } = caller
    compiled = {
      identity: policies.map(identityPolicy),
      boundary: boundary && identityPolicy(boundary),
      session: sessionPolicies?.map(identityPolicy),
    }
    callers.set(caller, compiled)
  }
  return compiled
}

export function sideOf(key: KmsKey): KeySide {
  let side = keys.get(key)
  if (side === undefined) {
    side = { policy: keyPolicy(key.policy), principals: key.policyPrincipals, grants: indexGrants(key.grants) }
    keys.set(key, side)
  }
  return side
}

function identityPolicy(source: PolicySource): Policy {
  let policy = sources.get(source)
  if (policy === undefined) {
    policy = parseOrDeny('identity', source.name, source.document)
    sources.set(source, policy)
  }
  return policy
}

function keyPolicy(document: string): Policy {
  let policy = keyPolicies.get(document)
  if (policy === undefined) {
    policy = parseOrDeny('key', KEY_POLICY_NAME, document)
    keyPolicies.set(document, policy)
  }
  return policy
}

function parseOrDeny(kind: PolicyKind, name: string, document: string): Policy {
  try {
    return parsePolicy(kind, name, document)
  } catch (error) {
    if (!(error instanceof PolicyFault)) throw error
    const deny = { Effect: 'Deny', Action: '*', Resource: '*', ...(kind === 'key' ? { Principal: '*' } : {}) }
    return compilePolicy(kind, `${name}, which is not a policy`, { Version: '2012-10-17', Statement: [deny] })
  }
}
