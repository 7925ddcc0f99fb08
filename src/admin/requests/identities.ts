/** Requests about users, roles, groups and services. */
import { z } from 'zod'
import { type Identities, MANAGED_KINDS } from '../../identities/identities.ts'
import { FULL_ACCESS_POLICY_NAME, type Identity } from '../../model/identity.ts'
import { account, change, document, look, moment, name } from './request.ts'

const kind = z.enum(MANAGED_KINDS).default('user')
const identity = z.strictObject({ account, kind, name })
const ofPolicy = identity.extend({ policy: name })
const ofGroup = z.strictObject({ account, name, group: name })
const ofRole = z.strictObject({ account, name })
const ofService = z.strictObject({ account, name })
const sessionSecondsMax = z.int().optional()
const tags = z.record(z.string(), z.string())

export function identityRequests(identities: Identities) {
  const user = (request: { account: string; name: string }) => ({ ...request, kind: 'user' as const })
  const role = (request: { account: string; name: string }) => ({ ...request, kind: 'role' as const })
  return {
    'identity/create': change(
      identity.extend({
        path: z.string().max(512).optional(),
        tags: tags.optional(),
        fullAccess: z.boolean().default(false),
        trustPolicy: document.optional(),
        sessionSecondsMax,
      }),
      async request =>
        summary(await identities.create({ ...request, tags: request.tags && new Map(Object.entries(request.tags)) })),
    ),
    'identity/list': look(z.strictObject({ account, kind }), async request =>
      (await identities.list(request.account, request.kind)).map(summary),
    ),
    'identity/show': look(identity, async request => {
      const found = await identities.find(request)
      return { ...details(found), ...(found.kind === 'group' ? { users: await identities.groupMembers(found) } : {}) }
    }),
    'identity/delete': change(identity, async request => summary(await identities.remove(request))),
    'identity/put-policy': change(ofPolicy.extend({ document }), async request =>
      details(await identities.putPolicy(request, request.policy, request.document)),
    ),
    'identity/delete-policy': change(ofPolicy, async request =>
      details(await identities.removePolicy(request, request.policy)),
    ),
    'identity/attach': change(ofPolicy, async request => details(await identities.attach(request, request.policy))),
    'identity/detach': change(ofPolicy, async request => details(await identities.detach(request, request.policy))),
    'identity/set-boundary': change(identity.extend({ policy: name.nullable() }), async request =>
      details(await identities.setBoundary(request, request.policy ?? undefined)),
    ),
    'identity/tag': change(identity.extend({ tags }), async request =>
      details(await identities.tag(request, new Map(Object.entries(request.tags)))),
    ),
    'identity/untag': change(identity.extend({ keys: z.array(z.string()).max(50) }), async request =>
      details(await identities.untag(request, request.keys)),
    ),
    'identity/join': change(ofGroup, async request => details(await identities.join(user(request), request.group))),
    'identity/leave': change(ofGroup, async request => details(await identities.leave(user(request), request.group))),
    'identity/set-trust': change(
      ofRole.extend({ trustPolicy: document.optional(), sessionSecondsMax }),
      async ({ trustPolicy, sessionSecondsMax: seconds, ...request }) =>
        details(
          await identities.changeRole(role(request), {
            ...(trustPolicy === undefined ? {} : { trustPolicy }),
            ...(seconds === undefined ? {} : { sessionSecondsMax: seconds }),
          }),
        ),
    ),
    'identity/set-acts-for': change(ofService.extend({ accounts: z.array(account).max(100) }), async request =>
      details(await identities.setActsFor(request, request.accounts)),
    ),
    'identity/revoke-sessions': change(ofRole, async request =>
      details(await identities.revokeSessions(role(request))),
    ),
  }
}

function summary({ name: named, kind: ofKind, arn, path, principalId, inlinePolicies, createdAtMs }: Identity) {
  return {
    name: named,
    kind: ofKind,
    arn,
    path,
    principalId,
    fullAccess: inlinePolicies.has(FULL_ACCESS_POLICY_NAME),
    created: moment(createdAtMs),
  }
}

function details(found: Identity) {
  const { tags: tagged, inlinePolicies, attachedPolicies, boundary, groups, role, actsFor } = found
  const { fullAccess, ...brief } = summary(found)
  return {
    ...brief,
    tags: Object.fromEntries(tagged),
    policies: Object.fromEntries([...inlinePolicies].map(([policy, text]) => [policy, JSON.parse(text)])),
    attached: attachedPolicies,
    ...(boundary === undefined ? {} : { boundary }),
    ...(found.kind === 'user' ? { groups } : {}),
    ...(found.kind === 'service' ? { actsFor } : {}),
    ...(role === undefined
      ? {}
      : {
          trust: JSON.parse(role.trustPolicy),
          maxSessionSeconds: role.sessionSecondsMax,
          ...(role.revokedBeforeMs === 0 ? {} : { sessionsRevokedBefore: moment(role.revokedBeforeMs) }),
        }),
  }
}
