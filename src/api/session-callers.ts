/** From a session whose token was opened to the caller that it is now: its role and its limits are looked at each time. */
import { callerOfSession } from '../identities/caller.ts'
import type { Session } from '../keyring/sessions.ts'
import type { Caller } from '../model/caller.ts'
import { KmsError } from '../model/errors.ts'
import type { ManagedPolicy, Principal } from '../model/identity.ts'
import type { HotReader } from '../store/store.ts'

/** Throws KmsError UnrecognizedClientException when the role is gone, or has revoked the session. */
export async function callerOfOpened(hot: HotReader, session: Session): Promise<Caller> {
  const owner = hot.principal(session.principalId)
  const principal = requireRole(session, owner instanceof Promise ? await owner : owner)
  const limits = session.managedPolicies.length === 0 ? [] : await limitsOf(hot, session, principal)
  return callerOfSession(session, principal, limits)
}

/** Of a proof of identity that proves nothing. Which part of it is wrong is told to the log alone. */
export function unrecognized(detail: string): KmsError {
  return new KmsError('UnrecognizedClientException', 'The security token included in the request is invalid.', {
    detail,
  })
}

async function limitsOf(
  hot: HotReader,
  { managedPolicies }: Session,
  { identity }: Principal,
): Promise<ManagedPolicy[]> {
  const found = await Promise.all(managedPolicies.map(name => hot.managedPolicy(identity.account, name)))
  return found.filter(policy => policy !== undefined)
}

/** The role as it is at this moment. */
function requireRole({ issuedAtMs }: Session, principal: Principal | undefined): Principal {
  const role = principal?.identity.role
  if (principal === undefined || role === undefined) throw unrecognized('the role of the session is gone')
  if (issuedAtMs < role.revokedBeforeMs) throw unrecognized('the session was revoked')
  return principal
}
