/**
 * For whom services may call, and which keys are theirs: null for all others. Officers and approvals are among the records
 * that carry MACs: in a store that has any, not all records carry one any more, until `init` has signed these.
 */
import { type Kysely, sql } from 'kysely'

export async function addServices(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('identities').addColumn('acts_for', 'text').execute()
  await db.schema.alterTable('keys').addColumn('managed_by', 'text').execute()
  await sql`
    delete from row_macs where table_name = 'row_macs' and primary_key = 'all'
    and (exists (select 1 from dual_control) or exists (select 1 from approval_requests))`.execute(db)
}
