/** The public half of key pairs, as SubjectPublicKeyInfo. Null for secret keys. */
import type { ColumnDataType, Transaction } from 'kysely'

export async function addPublicKeys(db: Transaction<unknown>, bytesColumn: ColumnDataType): Promise<void> {
  await db.schema.alterTable('materials').addColumn('public_key', bytesColumn).execute()
}
