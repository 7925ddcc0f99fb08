/** For whom services may call, and which keys are theirs. Null for all others. */
import type { Kysely } from 'kysely'

export async function addServices({ schema }: Kysely<unknown>): Promise<void> {
  await schema.alterTable('identities').addColumn('acts_for', 'text').execute()
  await schema.alterTable('keys').addColumn('managed_by', 'text').execute()
}
