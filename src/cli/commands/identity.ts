/** `strongroom identity …`: who may call, with which access keys and policies. Asks the running daemon. */
import type { Command } from 'commander'
import { addAccessKeys } from '../identity/access-keys.ts'
import { addAccounts } from '../identity/accounts.ts'
import { addApply } from '../identity/apply.ts'
import { addKinds, addLife } from '../identity/kinds.ts'
import { addManagedPolicies } from '../identity/policies.ts'

export function addIdentity(program: Command): void {
  const identity = program
    .command('identity')
    .description('accounts and who is in them; create, list, show and delete without a noun mean users')
  addAccounts(identity)
  addKinds(identity)
  addManagedPolicies(identity)
  addAccessKeys(identity)
  addApply(identity)
  addLife(identity, 'user')
}
