/**
 * Imported material: when it ends, what is said of it, how it is known again; and the wrapping keys that imports come under.
 * Of material that is away the record has no bytes.
 */
import type { Kysely } from 'kysely'
import type { BytesColumn } from '../dialects/database.ts'

export async function addImportedMaterial({ schema }: Kysely<unknown>, bytes: BytesColumn): Promise<void> {
  await schema.alterTable('materials').addColumn('rotated_at_ms', 'bigint').execute()
  await schema.alterTable('materials').addColumn('expires_at_ms', 'bigint').execute()
  await schema.alterTable('materials').addColumn('description', 'text').execute()
  await schema.alterTable('materials').addColumn('commitment', bytes).execute()
  await schema
    .createIndex('materials_to_expire')
    .on('materials')
    .column('expires_at_ms')
    .where('expires_at_ms', 'is not', null)
    .execute()
  await schema
    .createTable('import_keys')
    .addColumn('region', 'text', column => column.notNull())
    .addColumn('account', 'text', column => column.notNull())
    .addColumn('key_id', 'text', column => column.notNull())
    .addColumn('import_id', bytes, column => column.notNull())
    .addColumn('algorithm', 'text', column => column.notNull())
    .addColumn('spec', 'text', column => column.notNull())
    .addColumn('ekt', bytes, column => column.notNull())
    .addColumn('not_after_ms', 'bigint', column => column.notNull())
    .addColumn('attempts', 'integer', column => column.notNull())
    .addPrimaryKeyConstraint('import_keys_primary', ['region', 'account', 'key_id', 'import_id'])
    .addForeignKeyConstraint(
      'import_keys_key',
      ['region', 'account', 'key_id'],
      'keys',
      ['region', 'account', 'id'],
      constraint => constraint.onDelete('cascade'),
    )
    .execute()
  await schema.createIndex('import_keys_to_expire').on('import_keys').column('not_after_ms').execute()
}
