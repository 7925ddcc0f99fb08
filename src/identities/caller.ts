/** From an identity to the Caller that decisions are about: once for each principal, as long as it is the same. */
import type { Caller, CallerKind } from '../model/caller.ts'
import type { IdentityKind, Principal } from '../model/identity.ts'

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
