/** Wrapping keys of imports (security.md 2.7): each belongs to one KMS key, and goes with it, at its end or after bad imports. */
import type { Selectable } from 'kysely'
import { dkVersionOf } from '../../formats/ekt.ts'
import type { ImportKey, Scope } from '../records.ts'
import { countOfKey } from './count-of-key.ts'
import { requireWritableVersion } from './ekts.ts'
import { bufferOf, ektOf, requireInserted } from './outcomes.ts'
import type { Handle, Tables } from './tables.ts'

export async function findImportKey(
  db: Handle,
  { region, account }: Scope,
  keyId: string,
  importId: Buffer,
): Promise<ImportKey | undefined> {
  const row = await db
    .selectFrom('import_keys')
    .selectAll()
    .where('region', '=', region)
    .where('account', '=', account)
    .where('key_id', '=', keyId)
    .where('import_id', '=', importId)
    .executeTakeFirst()
  return row && importKeyOf(row)
}

export async function listDueImportKeys(db: Handle, nowMs: number, limit: number): Promise<ImportKey[]> {
  const rows = await db
    .selectFrom('import_keys')
    .selectAll()
    .where('not_after_ms', '<=', nowMs)
    .orderBy('not_after_ms')
    .limit(limit)
    .execute()
  return rows.map(importKeyOf)
}

export function countImportKeys(db: Handle, scope: Scope, keyId: string): Promise<number> {
  return countOfKey(db, 'import_keys', scope, keyId)
}

export async function insertImportKey(db: Handle, key: ImportKey): Promise<void> {
  const { region, account, keyId, importId, algorithm, spec, ekt, notAfterMs, attempts } = key
  const dkVersion = dkVersionOf(ekt.record)
  await requireWritableVersion(db, region, dkVersion)
  const inserted = await db
    .insertInto('import_keys')
    .values({
      ...{ region, account, key_id: keyId, import_id: importId, algorithm, spec, attempts },
      ekt: ekt.record,
      dk_version: dkVersion,
      not_after_ms: notAfterMs,
    })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `wrapping key of ${keyId}`)
}

/** Adds to the attempts, which may be negative: one that turned out well does not count. The row may be gone by then. */
export async function countAttempt(db: Handle, key: ImportKey, change: 1 | -1): Promise<void> {
  await db
    .updateTable('import_keys')
    .set(({ eb }) => ({ attempts: eb('attempts', '+', change) }))
    .where('region', '=', key.region)
    .where('account', '=', key.account)
    .where('key_id', '=', key.keyId)
    .where('import_id', '=', key.importId)
    .execute()
}

export async function deleteImportKey(db: Handle, key: ImportKey): Promise<void> {
  await db
    .deleteFrom('import_keys')
    .where('region', '=', key.region)
    .where('account', '=', key.account)
    .where('key_id', '=', key.keyId)
    .where('import_id', '=', key.importId)
    .execute()
}

function importKeyOf(row: Selectable<Tables['import_keys']>): ImportKey {
  const { region, account, key_id: keyId, algorithm, spec, attempts, not_after_ms: notAfterMs } = row
  return {
    ...{ region, account, keyId, algorithm, spec, attempts, notAfterMs },
    importId: bufferOf(row.import_id),
    ekt: ektOf(row.ekt),
  }
}
