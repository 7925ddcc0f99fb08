/** The public half of key pairs, as SubjectPublicKeyInfo. Null for secret keys. */
import type { Kysely } from 'kysely'
import type { BytesColumn } from '../dialects/database.ts'

export async function addPublicKeys({ schema }: Kysely<unknown>, bytes: BytesColumn): Promise<void> {
  await schema.alterTable('materials').addColumn('public_key', bytes).execute()
}
