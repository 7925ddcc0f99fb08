/** From an identity, or a session of a role, to the Caller that decisions are about: once, as long as both are the same. */

import type { Session } from '../keyring/sessions.ts'
import { assumedRoleArn } from '../model/arn.ts'
import type { Caller, CallerKind } from '../model/caller.ts'
import type { IdentityKind, ManagedPolicy, Principal } from '../model/identity.ts'

const KINDS: Partial<Record<IdentityKind, CallerKind>> = { root: 'root', user: 'user', service: 'service' }

const known = new WeakMap<Principal, Caller>()

/** Who holds an access key. Roles have none, and groups are no principals: asking for them is a fault of ours. */
export function callerOf(principal: Principal): Caller {
  let caller = known.get(principal)
  if (caller === undefined) {
    caller = directCaller(principal)
    known.set(principal, caller)
  }
  return caller
}

interface KnownSession {
  readonly principal: Principal
  readonly limits: readonly ManagedPolicy[]
  readonly caller: Caller
}

const sessions = new WeakMap<Session, KnownSession>()

/** Who holds temporary credentials of a role. `limits` are the managed policies that the session names, where they exist. */
export function callerOfSession(session: Session, principal: Principal, limits: readonly ManagedPolicy[]): Caller {
  const held = sessions.get(session)
  if (held !== undefined && held.principal === principal && same(held.limits, limits)) return held.caller
  const caller = sessionCaller(session, principal, limits)
  sessions.set(session, { principal, limits, caller })
  return caller
}

const viaServices = new WeakMap<Caller, Map<string, Caller>>()

/** The same caller when a service calls on its behalf. `service` is that one's name as a principal. */
export function callerVia(caller: Caller, service: string): Caller {
  const known = viaServices.get(caller) ?? new Map<string, Caller>()
  viaServices.set(caller, known)
  const via = known.get(service) ?? { ...caller, viaService: service }
  known.set(service, via)
  return via
}

function same(before: readonly ManagedPolicy[], after: readonly ManagedPolicy[]): boolean {
  return before.length === after.length && before.every((policy, at) => policy === after[at])
}

function sessionCaller(session: Session, principal: Principal, limits: readonly ManagedPolicy[]): Caller {
  const { identity, policies, boundary } = principal
  const { account, arn, name, principalId } = identity
  const { sessionName, sourceIdentity, policy, managedPolicies, tags } = session
  const inline = policy === undefined ? [] : [{ name: 'the session policy', document: policy }]
  const managed = limits.map(({ arn: limit, versions, defaultVersion }) => ({
    ...{ name: limit, document: versions.get(defaultVersion)?.document ?? '' },
  }))
  // A managed policy that is gone allows nothing; the session stays limited.
  const limited = policy !== undefined || managedPolicies.length > 0
  return {
    ...{ kind: 'assumed-role', account, arn: assumedRoleArn(account, name, sessionName), policies, sessionName },
    ...{ userId: `${principalId}:${sessionName}`, principalArn: arn, tokenIssuedAtMs: session.issuedAtMs },
    tags: new Map([...identity.tags, ...Array.from(tags, ([key, { value }]) => [key, value] as const)]),
    transitiveTagKeys: [...tags].filter(([, { transitive }]) => transitive).map(([key]) => key),
    ...(boundary === undefined ? {} : { boundary }),
    ...(limited ? { sessionPolicies: [...inline, ...managed] } : {}),
    ...(sourceIdentity === undefined ? {} : { sourceIdentity }),
  }
}

function directCaller({ identity, policies, boundary }: Principal): Caller {
  const { account, arn, principalId, name, tags } = identity
  const kind = KINDS[identity.kind]
  if (kind === undefined) throw new TypeError(`a ${identity.kind} does not call by itself`)
  return {
    ...{ kind, arn, account, userId: principalId, principalArn: arn, policies, tags },
    ...(boundary === undefined ? {} : { boundary }),
    ...(kind === 'user' ? { userName: name } : {}),
  }
}
