/** Requests about managed policies. */
import { z } from 'zod'
import type { ManagedPolicies } from '../../identities/managed-policies.ts'
import type { ManagedPolicy } from '../../model/identity.ts'
import { account, change, document, look, moment, name } from './request.ts'

const policy = z.strictObject({ account, name })

export function policyRequests(policies: ManagedPolicies) {
  return {
    'policy/create': change(
      policy.extend({ document, path: z.string().max(512).optional(), description: z.string().max(1_000).optional() }),
      async request => summary(await policies.create(request)),
    ),
    'policy/list': look(z.strictObject({ account }), async request =>
      (await policies.list(request.account)).map(summary),
    ),
    'policy/show': look(policy, async request => {
      const found = await policies.find(request.account, request.name)
      return { ...details(found), holders: await policies.holders(found) }
    }),
    'policy/update': change(policy.extend({ document }), async request =>
      summary(await policies.update(request.account, request.name, request.document)),
    ),
    'policy/set-default': change(policy.extend({ version: z.int().min(1) }), async request =>
      summary(await policies.setDefault(request.account, request.name, request.version)),
    ),
    'policy/delete': change(policy, async request => summary(await policies.remove(request.account, request.name))),
  }
}

function summary({ name: named, arn, description, defaultVersion, createdAtMs }: ManagedPolicy) {
  return { name: named, arn, description, version: defaultVersion, created: moment(createdAtMs) }
}

function details(found: ManagedPolicy) {
  const versions = [...found.versions].map(([version, { document: text, createdAtMs }]) => {
    return { version, created: moment(createdAtMs), document: JSON.parse(text) }
  })
  return { ...summary(found), versions }
}
