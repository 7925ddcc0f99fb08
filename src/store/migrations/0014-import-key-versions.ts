/** The domain key version that the wrapping key of an import is under, so that a rotation finds it, too. */
import { type Kysely, sql } from 'kysely'
import { dkVersionOf } from '../../formats/ekt.ts'

interface Row {
  readonly key_id: string
  readonly import_id: Uint8Array
  readonly ekt: Uint8Array
}

export async function addImportKeyVersions(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('import_keys')
    .addColumn('dk_version', 'bigint', column => column.notNull().defaultTo(0))
    .execute()
  const { rows } = await sql<Row>`select key_id, import_id, ekt from import_keys`.execute(db)
  for (const { key_id: keyId, import_id: importId, ekt } of rows) {
    const version = dkVersionOf(Buffer.from(ekt))
    await sql`update import_keys set dk_version = ${version} where key_id = ${keyId} and import_id = ${importId}`.execute(
      db,
    )
  }
}
