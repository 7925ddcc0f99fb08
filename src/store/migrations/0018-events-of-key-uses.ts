/** The event in the audit log that tells of a key's last use. Null of uses that were recorded without it. */
import type { Kysely } from 'kysely'

export async function addEventsOfKeyUses({ schema }: Kysely<unknown>): Promise<void> {
  await schema.alterTable('key_uses').addColumn('event_id', 'text').execute()
}
