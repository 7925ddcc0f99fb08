/** Access keys of identities, with their secrets sealed; and when each was used last. */
import type { Selectable } from 'kysely'
import type { AccessKey, AccessKeyUse } from '../../model/identity.ts'
import { buildOnce } from './build-once.ts'
import { bufferOf, requireDeleted, requireInserted, requireUpdated } from './outcomes.ts'
import type { Handle, Tables } from './tables.ts'

export async function findAccessKey(db: Handle, accessKeyId: string): Promise<AccessKey | undefined> {
  const [row] = await selectAccessKey(db, accessKeyId)
  return row === undefined ? undefined : accessKeyOf(row)
}

/** The oldest first. */
export async function listAccessKeys(db: Handle, principalId: string): Promise<AccessKey[]> {
  const rows = await db
    .selectFrom('access_keys')
    .selectAll()
    .where('principal_id', '=', principalId)
    .orderBy('created_at_ms')
    .orderBy('id')
    .execute()
  return rows.map(accessKeyOf)
}

export async function insertAccessKey(db: Handle, accessKey: AccessKey): Promise<void> {
  const { id, principalId, active, sealedSecret, createdAtMs } = accessKey
  const inserted = await db
    .insertInto('access_keys')
    .values({
      ...{ id, principal_id: principalId, active: active ? 1 : 0 },
      ...{ sealed_secret: sealedSecret, created_at_ms: createdAtMs },
    })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `access key ${id}`)
}

/** Writes whether it is active, and its secret as sealed anew. */
export async function updateAccessKey(db: Handle, accessKey: AccessKey): Promise<void> {
  const updated = await db
    .updateTable('access_keys')
    .set({ active: accessKey.active ? 1 : 0, sealed_secret: accessKey.sealedSecret })
    .where('id', '=', accessKey.id)
    .executeTakeFirstOrThrow()
  requireUpdated(updated, `access key ${accessKey.id}`)
}

export async function deleteAccessKey(db: Handle, accessKey: AccessKey): Promise<void> {
  const deleted = await db.deleteFrom('access_keys').where('id', '=', accessKey.id).executeTakeFirstOrThrow()
  requireDeleted(deleted, `access key ${accessKey.id}`)
}

/** Of the access keys of one identity, those that were ever used. */
export async function listAccessKeyUses(db: Handle, principalId: string): Promise<AccessKeyUse[]> {
  const rows = await db
    .selectFrom('access_key_uses as uses')
    .innerJoin('access_keys', 'access_keys.id', 'uses.access_key_id')
    .selectAll('uses')
    .where('access_keys.principal_id', '=', principalId)
    .execute()
  return rows.map(row => ({
    ...{ accessKeyId: row.access_key_id, atMs: row.at_ms, region: row.region, service: row.service },
  }))
}

/** The newest use counts, whoever writes last; one of an access key that is gone leaves nothing. */
export async function putAccessKeyUse(db: Handle, { accessKeyId, atMs, region, service }: AccessKeyUse): Promise<void> {
  if ((await findAccessKey(db, accessKeyId)) === undefined) return
  await db
    .insertInto('access_key_uses')
    .values({ access_key_id: accessKeyId, at_ms: atMs, region, service })
    .onConflict(conflict =>
      conflict
        .column('access_key_id')
        .doUpdateSet({ at_ms: atMs, region, service })
        .where('access_key_uses.at_ms', '<', atMs),
    )
    .execute()
}

const selectAccessKey = buildOnce((db, accessKeyId: string) =>
  db.selectFrom('access_keys').selectAll().where('id', '=', accessKeyId),
)

function accessKeyOf(row: Selectable<Tables['access_keys']>): AccessKey {
  return {
    id: row.id,
    principalId: row.principal_id,
    active: row.active === 1,
    sealedSecret: bufferOf(row.sealed_secret),
    createdAtMs: row.created_at_ms,
  }
}
