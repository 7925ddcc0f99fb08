/** Which chain of the audit log will hold an event that a change has left; of those that are there already nobody knows. */
import type { Kysely } from 'kysely'

export async function addChainOfPendingEvents({ schema }: Kysely<unknown>): Promise<void> {
  await schema.alterTable('audit_pending_events').addColumn('chain', 'text').execute()
}
