/** How the lines of a block of the audit log lie in its row; blocks that are there already are plain text. */
import type { Kysely } from 'kysely'

export async function addBlockEncoding({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .alterTable('audit_blocks')
    .addColumn('encoding', 'text', column => column.notNull().defaultTo('text'))
    .execute()
}
