/** When a key is rotated next, by itself, and how each of its materials came to be the current one. */
import type { Kysely } from 'kysely'

export async function addKeyRotation({ schema }: Kysely<unknown>): Promise<void> {
  await schema.alterTable('keys').addColumn('rotation_period_days', 'integer').execute()
  await schema.alterTable('keys').addColumn('rotation_next_at_ms', 'bigint').execute()
  await schema.alterTable('materials').addColumn('rotation_type', 'text').execute()
  await schema.createIndex('keys_due_for_rotation').on('keys').column('rotation_next_at_ms').execute()
}
