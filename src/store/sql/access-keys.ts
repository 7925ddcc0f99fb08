/** Access keys of identities, with their secrets sealed. */
import type { Selectable } from 'kysely'
import type { AccessKey } from '../../model/identity.ts'
import type { AccessKeyOwner } from '../store.ts'
import { buildOnce } from './build-once.ts'
import { IDENTITY_COLUMNS, identitiesOf } from './identities.ts'
import { bufferOf, requireDeleted, requireInserted, requireUpdated } from './outcomes.ts'
import type { Handle, Tables } from './tables.ts'

export async function findAccessKey(db: Handle, accessKeyId: string): Promise<AccessKeyOwner | undefined> {
  const rows = await selectAccessKey(db, accessKeyId)
  const [row] = rows
  const [identity] = identitiesOf(rows)
  return row === undefined || identity === undefined ? undefined : { accessKey: accessKeyOf(row), identity }
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

const selectAccessKey = buildOnce((db, accessKeyId: string) =>
  db
    .selectFrom('access_keys')
    .innerJoin('identities', 'identities.principal_id', 'access_keys.principal_id')
    .leftJoin('identity_policies', 'identity_policies.principal_id', 'identities.principal_id')
    .select(['access_keys.id', 'access_keys.active', 'access_keys.sealed_secret', 'access_keys.created_at_ms'])
    .select(IDENTITY_COLUMNS)
    .where('access_keys.id', '=', accessKeyId)
    .orderBy('identity_policies.name'),
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
