/** Requests about accounts. */
import { z } from 'zod'
import type { Accounts } from '../../identities/accounts.ts'
import type { Account } from '../../model/identity.ts'
import { account, change, look, moment } from './request.ts'

export function accountRequests(accounts: Accounts) {
  return {
    'account/create': change(z.strictObject({ account, name: z.string().max(128).default('') }), async request =>
      describe(await accounts.create(request.account, request.name)),
    ),
    'account/list': look(z.strictObject({}), async () => (await accounts.list()).map(describe)),
    'account/delete': change(z.strictObject({ account }), async request =>
      describe(await accounts.remove(request.account)),
    ),
  }
}

function describe({ id, name, createdAtMs }: Account) {
  return { account: id, name, created: moment(createdAtMs) }
}
